"""Readings of the temperatures shape: writes them into a topic with everything that goes wrong in the
field, and recounts the topic, row by row and bit by bit, with no code of the crate.

  temperatures.py produce KAFKA TOPIC PARTITIONS RECORDS RECORDS_PER_SECOND SEED
  temperatures.py check KAFKA TOPIC CASSANDRA KEYSPACE STATUS.json REJECTS_TOPIC LATE_TOPIC [THRESHOLD]
  temperatures.py watch CASSANDRA KEYSPACE         reads all rows again and again until its input ends: of no row the
                                                   count or the generation may go down
  temperatures.py spoil KAFKA TOPIC                one more reading, in a row that exists
  temperatures.py rows CASSANDRA KEYSPACE          every cell of both tables, as text that can be compared
"""
import json
import random
import sys
import time
from collections import Counter, defaultdict
from datetime import datetime, timezone
from decimal import Decimal

import compare
import servers
from exact import UNIT, Aggregate, fixed
from places import Regions

HOUR = 3600000
# The same as in tests/it/support/temperatures.toml.
OUT_OF_ORDERNESS, ALLOWED_LATENESS, MAX_FUTURE = 120000, 6 * HOUR, 300000
MU, FAR = 20 * UNIT, 15 * UNIT  # outlier further than k * sigma from mu
FIRST = 1709251200000  # 2024-03-01T00:00:00Z
STEP = 1000  # ms of event time from one record to the next


# ---- writing

class Sensors:
    def __init__(self, seed):
        regions = Regions()
        self.inside = [p for code in regions.codes for p in regions.inside(code, 12, seed)]
        self.outside = regions.outside(20, seed)
        self.draw = random.Random(seed)
        self.draw.shuffle(self.inside)

    def record(self, number):
        """(sensor, kafka timestamp, payload) of one record."""
        now = FIRST + number * STEP
        sensor = self.draw.randrange(len(self.inside))
        if self.draw.random() < 0.01:
            return sensor, now, self.draw.choice([b"", None, b"{not json", b"[]", b"\xff\xfe", b'[{"id":'])
        readings = [self.reading(sensor, now) for _ in range(self.draw.choice([1, 1, 1, 2, 5]))]
        if self.draw.random() < 0.02:
            readings.append(readings[0])  # sent twice: counts twice
        return sensor, now, ("[" + ",".join(readings) + "]").encode()

    def reading(self, sensor, now):
        draw = self.draw
        lat, lon = self.inside[sensor] if draw.random() > 0.02 else draw.choice(self.outside)
        at = now - self.delay()
        text = shown(at, draw)
        if draw.random() < 0.005:
            text = draw.choice(["yesterday", "2024-02-30 10:00:00", ""])
        country = "France" if draw.random() > 0.03 else draw.choice(["Spain", "france", ""])
        fields = [
            f'"id":"{draw.getrandbits(64):016x}"',
            f'"timestamp":"{text}"',
            f'"lat":{lat!r},"lon":{lon!r}',
            f'"temperature":{self.temperature()}',
            f'"country":"{country}"',
            f'"active":{draw.choice(["true", "false", "1", "0"])}',
        ]
        if draw.random() > 0.1:
            fields.append(f'"humidity":{draw.randrange(0, 100)}.{draw.randrange(10)}')
        draw.shuffle(fields)
        return "{" + ",".join(fields) + "}"

    def delay(self):
        """How old a reading is when it is sent, ms; negative: its clock runs ahead."""
        kind = self.draw.random()
        if kind < 0.80:
            return self.draw.randrange(0, 90000)
        if kind < 0.94:
            return self.draw.randrange(0, 5 * HOUR)  # out of order, mostly not late
        if kind < 0.98:
            return self.draw.randrange(5 * HOUR, 40 * HOUR)  # mostly late
        if kind < 0.99:
            return -self.draw.randrange(0, MAX_FUTURE)
        return self.draw.choice([-MAX_FUTURE - 1000, -2 * HOUR, FIRST - 4102444800000])

    def temperature(self):
        draw = self.draw
        kind = draw.random()
        if kind < 0.9:
            return f"{draw.gauss(20, 6):.4f}"
        if kind < 0.93:
            return "null"
        if kind < 0.96:
            return f"{draw.randrange(-9, 35)}.{draw.randrange(10**9):09d}5"  # a tie at the unit
        if kind < 0.98:
            return f"{draw.gauss(200, 30):.3f}e-1"
        if kind < 0.995:
            return f"{draw.gauss(20, 6):.15f}"
        return draw.choice(["1e300", "-9223372036.9", "9300000000"])  # out of range


def shown(at, draw):
    moment = datetime.fromtimestamp(at // 1000, timezone.utc)
    form = draw.random()
    if form < 0.7:
        return moment.strftime("%Y-%m-%d %H:%M:%S")
    if form < 0.8:
        return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    if form < 0.9:
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"
    east = datetime.fromtimestamp(at // 1000 + 7200, timezone.utc)
    return east.strftime("%Y-%m-%dT%H:%M:%S+02:00")


def produce(kafka, topic, partitions, records, rate, seed):
    servers.create_topic(kafka, topic, partitions)
    print("created", flush=True)
    sensors, writer = Sensors(seed), servers.producer(kafka)
    begun = time.monotonic()
    for number in range(records):
        sensor, now, payload = sensors.record(number)
        # Mostly one partition a sensor; sometimes another, as after partitions were added.
        partition = sensor % partitions if number % 20 else number // 20 % partitions
        servers.send(writer, topic, partition, str(sensor), payload, now)
        ahead = number / rate - (time.monotonic() - begun) if rate else 0
        if ahead > 0.05:
            writer.poll(ahead)
            time.sleep(max(0, number / rate - (time.monotonic() - begun)))
    assert writer.flush(180) == 0, "not everything was delivered"
    print(f"produced {records} records", flush=True)


def spoil(kafka, topic):
    """Sends one record of partition 0 again: the newest with a timely reading that some row holds."""
    regions = Regions()
    for _, timestamp, payload, key in reversed(servers.dump(kafka, topic)[0]):
        try:
            reading = json.loads(payload)[0]
        except (TypeError, ValueError, IndexError):
            continue
        at = event_time(reading["timestamp"])
        timely = at is not None and timestamp - HOUR < at <= timestamp
        ordinary = reading["country"] == "France" and 0 < (reading["temperature"] or 0) < 100
        if timely and ordinary and regions.containing(reading["lat"], reading["lon"]):
            writer = servers.producer(kafka)
            servers.send(writer, topic, 0, key, payload, timestamp)
            assert writer.flush(30) == 0, "the reading was not delivered"
            return
    sys.exit("no record is fit to be sent again")


# ---- recounting

def event_time(text):
    """Milliseconds since the epoch, or None."""
    try:
        if text.endswith(" UTC"):
            text = text[:-4]
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


class Recount:
    def __init__(self, threshold=30 * UNIT):
        self.threshold = threshold  # alarm above
        self.regions = Regions()
        self.cells = defaultdict(Aggregate)  # (key, window start, metric)
        self.touched = defaultdict(set)  # (key, window start): records with a value in it
        self.tallies = {}
        self.newest = {}

    def topic(self, records):
        for partition, log in records.items():
            self.tally, newest = Counter(), None
            for offset, timestamp, payload, _ in log:
                seen = self.record((partition, offset), timestamp, payload, newest)
                newest = max([t for t in [newest, seen] if t is not None], default=None)
            self.tallies[partition], self.newest[partition] = self.tally, newest

    def record(self, record, timestamp, payload, newest):
        """Judges a record by the newest event time before it; gives the newest within it."""
        try:
            readings = json.loads(payload.decode(), parse_float=Decimal, parse_int=Decimal)
        except (AttributeError, ValueError):
            self.tally.update(seen=1, rejected=1)
            return None
        latest = None
        for reading in readings:
            self.tally["seen"] += 1
            at = self.reading(record, timestamp, reading, newest)
            latest = at if latest is None or (at is not None and at > latest) else latest
        return latest

    def reading(self, record, timestamp, reading, newest):
        at = event_time(reading["timestamp"])
        if at is None or at > timestamp + MAX_FUTURE:
            self.tally["rejected"] += 1
            return None
        if reading["country"] != "France":
            self.tally["filtered"] += 1
            return at
        given = {m: reading.get(m) for m in ("temperature", "humidity")}
        values = {m: None if text is None else fixed(text) for m, text in given.items()}
        if any(values[m] is None and given[m] is not None for m in given):
            self.tally["rejected"] += 1  # out of range: never a wrap
            return None
        key = self.regions.containing(float(reading["lat"]), float(reading["lon"]))
        start = at - at % HOUR
        if key is None:
            self.tally["outside"] += 1
        elif newest is not None and start + HOUR + ALLOWED_LATENESS <= newest - OUT_OF_ORDERNESS:
            self.tally["late"] += 1
        else:
            self.fold(record, key, start, values, bool(reading["active"]))
        return at

    def fold(self, record, key, start, values, active):
        self.tally["folded"] += 1
        for metric, value in values.items():
            if value is None:
                self.tally["missing " + metric] += 1
                continue
            self.touched[key, start].add(record)
            hot = metric == "temperature"
            self.cells[key, start, metric].add(value, hot and value > self.threshold, active, hot and abs(value - MU) > FAR)

    def rows(self):
        watermark = min(t - OUT_OF_ORDERNESS if t is not None else -(2**62) for t in self.newest.values())
        wanted = {}
        for (key, start, metric), cell in self.cells.items():
            row = cell.row()
            before = self.cells.get((key, start - 3 * HOUR, metric))
            row["mean_before"] = before.row()["mean"] if before else None
            row["revision"] = len(self.touched[key, start])
            row["label"] = self.regions.names[key]
            row["window_end"] = start + HOUR
            row["final"] = start + HOUR + ALLOWED_LATENESS <= watermark
            wanted["region", "1h", metric, "", key, start] = row
        return wanted


def check(kafka, topic, cassandra, keyspace, status, rejects, late, threshold="30"):
    recount = Recount(int(threshold) * UNIT)
    recount.topic(servers.dump(kafka, topic))
    problems = compare.tables(recount.rows(), cassandra, keyspace)
    with open(status, encoding="utf-8") as file:
        problems += compare.tallies(recount.tallies, json.load(file), topic)
    total = sum(recount.tallies.values(), Counter())
    print(f"recount: {dict(total)} in {len(recount.cells)} rows")
    # At least once each, and nothing else: a crash may repeat one, its key tells.
    for name, kinds in ((rejects, ("rejected", "outside")), (late, ("late",))):
        keys, expected = servers.keys(kafka, name), sum(total[kind] for kind in kinds)
        if len(keys) != expected or not all(key.startswith(topic + "/") for key in keys):
            problems.append(f"{name} has {len(keys)} keys, should be {expected}; for instance {sorted(keys)[:2]}")
    for kind in ("folded", "late", "rejected", "outside", "filtered", "missing temperature"):
        if not total[kind]:
            problems.append(f"the scenario is too tame: no reading is {kind}")
    compare.report(problems)


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "produce":
        produce(arguments[0], arguments[1], *map(int, arguments[2:]))
    elif command == "check":
        check(*arguments)
    elif command == "spoil":
        spoil(*arguments)
    elif command == "watch":
        compare.watch(*arguments)
    else:
        compare.show(*arguments)
