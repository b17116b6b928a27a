"""Alarms of base stations: recounts the topic, row by row and bit by bit, with no code of the crate.

  alarms.py extra KAFKA TOPIC                  readings with odd ids, odd thresholds, and without what views group by
  alarms.py check KAFKA TOPIC CASSANDRA KEYSPACE
"""
import json
import sys

import compare
import servers
from exact import fixed
from recount import Number, Reading, Recount, View, event_time, newest, text

# The same as in examples/bts-alarms/etiage.toml, and the defaults behind it.
MAX_FUTURE = 300000
UNSET = fixed("999999")
LABELS = {"station": "station_id", "datapoint": "datapoint_id", "alarm": "alarm_id"}
PARIS = "Europe/Paris"
VIEWS = [
    View("datapoint", ("station", "datapoint", "alarm"), "1h", ("1d",), PARIS),
    View("station", ("station",), "1h", ("1d", "1w"), PARIS),
    View("alarm", ("alarm",), "15m", ("1d", "1mo"), PARIS),
]


def judge(reading, timestamp, key):
    at = event_time(reading.get("event_time"))
    if at is None or at > timestamp + MAX_FUTURE:
        return None
    values = {}
    if reading.get("value") is not None:
        value, threshold = units(reading["value"]), reading.get("valueThreshold")
        threshold = UNSET if threshold is None else units(threshold)
        if value is None or threshold is None:
            return None
        values["value"] = (value, threshold != UNSET and value > threshold, False)
    labels = {name: text(reading.get(column)) for name, column in LABELS.items()}
    return Reading(at, labels, values, key.decode(), reading.get("isActive") is True)


def units(number):
    return fixed(number) if isinstance(number, Number) else None


# ---- writing

def extra(kafka, topic):
    """Records at the topic's newest event time, so that none is late."""
    records = servers.dump(kafka, topic)
    usual = {
        "station_id": 1161115000,
        "datapoint_id": 121,
        "alarm_id": 308,
        "event_time": newest(records, judge),
        "value": 250,
        "valueThreshold": 241,
        "isActive": True,
        "storedtime": "",
    }
    odd = [
        {"station_id": "north/7"},
        {"station_id": "50%"},
        {"station_id": "%2F"},
        {"station_id": "gare d'Évry \"2\""},
        {"station_id": None},
        {"datapoint_id": ""},
        {"alarm_id": None},
        {"valueThreshold": 999999, "value": 1000000},
        {"valueThreshold": 999999.0, "value": 1000000},
        {"valueThreshold": 250},
        {"valueThreshold": 249.999999999},
        {"valueThreshold": None},
        {"isActive": False},
        {"isActive": None},
        {"value": None},
        {"value": "250"},
        {"value": -0.0},
    ]
    absent = [{name: usual[name] for name in usual if name != lost} for lost in ("station_id", "alarm_id", "isActive")]
    writer = servers.producer(kafka)
    for number, reading in enumerate([usual | changed for changed in odd] + absent):
        tenant = f"tenant-{number % 3:03}"
        # One alone, and the same in an array beside one that nobody can read and one that is as usual.
        for value in (reading, [{"station_id": 1}, reading, usual]):
            servers.send(writer, topic, number % len(records), tenant, json.dumps(value), 0)
    assert writer.flush(60) == 0, "not everything was delivered"


# ---- recounting

def check(kafka, topic, cassandra, keyspace):
    recount = Recount(VIEWS, judge)
    recount.topic(servers.dump(kafka, topic))
    wanted = recount.rows()
    problems = compare.tables(wanted, cassandra, keyspace, compare.EXACT + ("labels",))
    problems += recount.lacking("folded", "late", "rejected", "unkeyed")
    for column in ("alarms", "active", "mean_before", "final"):
        if not any(row[column] for row in wanted.values()):
            problems.append(f"the scenario is too tame: no row has {column}")
    print(f"recount: {dict(recount.tallies)} in {len(wanted)} rows of {len({place[3] for place in wanted})} tenants")
    compare.report(problems)


if __name__ == "__main__":
    {"extra": extra, "check": check}[sys.argv[1]](*sys.argv[2:])
