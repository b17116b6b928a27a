"""The two examples of readings by region and hour: recounts the topic, row by row and bit by bit, with no code of
the crate.

  plain.py temperatures KAFKA TOPIC CASSANDRA KEYSPACE
  plain.py synop KAFKA TOPIC CASSANDRA KEYSPACE STATIONS.csv
"""
import csv
import math
import sys
from datetime import datetime, timezone

from shapely import Point

import compare
import servers
from exact import UNIT, fixed
from places import Regions
from recount import Number, Reading, Recount, View, event_time, parse

MAX_FUTURE = 300000
VIEWS = [View("region", ("region",), "1h")]
REGIONS = Regions()


# ---- examples/temperatures/etiage.toml

def temperature(reading, timestamp, _):
    at = event_time(reading.get("timestamp"))
    if at is None or at > timestamp + MAX_FUTURE:
        return None
    if reading.get("country") != "France":
        return Reading(at, {}, {})  # filtered: counts for the newest event time alone
    given = reading.get("temperature")
    value = fixed(given) if isinstance(given, Number) else None
    if value is None and given is not None:
        return None
    values = {} if given is None else {"temperature": (value, value > 40 * UNIT, False)}
    return Reading(at, {"region": REGIONS.containing(float(reading["lat"]), float(reading["lon"]))}, values)


# ---- examples/synop/etiage.toml

METRICS = {  # column, scale, offset
    "temperature": ("t", "1", "-273.15"),
    "humidity": ("u", "1", "0"),
    "pressure": ("pres", "0.01", "0"),
    "wind_speed": ("ff", "1", "0"),
    "rain": ("rr3", "1", "0"),
}
SNAP_M = 500


def split(payload):
    """A record is a header line and further lines."""
    try:
        lines = payload.decode().splitlines()
    except (AttributeError, UnicodeDecodeError):
        return None
    return list(csv.DictReader(lines, delimiter=";")) if lines and ";" in lines[0] else None


def synop(stations):
    with open(stations, encoding="utf-8") as file:
        places = {s["ID"]: (float(s["Latitude"]), float(s["Longitude"])) for s in csv.DictReader(file, delimiter=";")}
    regions = {station: region(*place) for station, place in places.items()}

    def judge(reading, timestamp, _):
        if None in reading or None in reading.values():
            return None  # cells without a column, or columns without a cell
        try:
            moment = datetime.strptime(reading.get("date") or "", "%Y%m%d%H%M%S")
        except ValueError:
            return None
        at = int(moment.replace(tzinfo=timezone.utc).timestamp()) * 1000
        if at > timestamp + MAX_FUTURE:
            return None
        values = {}
        for metric, (column, scale, offset) in METRICS.items():
            if reading.get(column, "") not in ("mq", ""):
                values[metric] = (fixed(reading[column], scale, offset), False, False)
        return Reading(at, {"region": regions.get(reading.get("numer_sta"))}, values)

    return judge


def region(lat, lon):
    """The region that holds the place, or the nearest one within reach."""
    code = REGIONS.containing(lat, lon)
    if code is not None:
        return code
    nearest = REGIONS.tree.nearest(Point(lon, lat))
    shape = REGIONS.shapes[nearest]
    there = shape.exterior.interpolate(shape.exterior.project(Point(lon, lat))) if hasattr(shape, "exterior") else None
    degrees = shape.distance(Point(lon, lat))
    metres = degrees * 111195  # at most: a degree of longitude is shorter
    if there is not None:
        metres = math.hypot((there.x - lon) * math.cos(math.radians(lat)), there.y - lat) * 111195
    assert metres < SNAP_M * 0.5 or metres > SNAP_M * 2, f"{lat}, {lon} is too near the limit to tell"
    return REGIONS.codes[nearest] if metres < SNAP_M else None


def check(judge, parse, kinds, kafka, topic, cassandra, keyspace):
    recount = Recount(VIEWS, judge, REGIONS.names, parse=parse)
    recount.topic(servers.dump(kafka, topic))
    wanted = recount.rows()
    problems = compare.tables(wanted, cassandra, keyspace, compare.EXACT + ("labels",))
    problems += recount.lacking(*kinds)
    regions = {place[4] for place in wanted}
    if len(regions) < 18 or not any(row["final"] and row["mean_before"] is not None for row in wanted.values()):
        problems.append(f"the scenario is too tame: {len(regions)} regions")
    print(f"recount: {dict(recount.tallies)} in {len(wanted)} rows")
    compare.report(problems)


if __name__ == "__main__":
    shape, arguments = sys.argv[1], sys.argv[2:]
    if shape == "temperatures":
        check(temperature, parse, ("folded", "late", "rejected", "outside"), *arguments)
    else:
        check(synop(arguments[-1]), split, ("folded", "late", "rejected", "outside"), *arguments[:-1])
