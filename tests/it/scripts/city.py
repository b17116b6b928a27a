"""City sensors: recounts the topic, row by row and bit by bit, with no code of the crate.

  city.py extra KAFKA TOPIC                    readings with quantities that no configuration names, and without an id
  city.py check KAFKA TOPIC CASSANDRA KEYSPACE
"""
import json
import sys

import compare
import servers
from exact import fixed
from places import Regions
from recount import HOUR, Number, Reading, Recount, View, event_time, newest, text

# The same as in examples/city-sensors/etiage.toml, and the defaults behind it.
MAX_FUTURE = 300000
NORMAL = {  # μ, σ; k is 3
    "temperature": ("25", "2"),
    "humidity": ("60", "3"),
    "pressure": ("1013", "2"),
    "air_quality": ("200", "20"),
    "particulate_matter": ("30", "2"),
    "noise_level": ("50", "3"),
    "illuminance": ("500", "50"),
    "wind_speed": ("5", "20"),
    "rainfall": ("0", "3"),
}
RANGES = {name: (fixed(mu), 3 * fixed(sigma)) for name, (mu, sigma) in NORMAL.items()}
NAMED = ("sensor_id", "timestamp", "lat", "lon")
VIEWS = [
    View("region", ("region",), "1h", ("12h", "1d", "1w", "1mo"), "Europe/Paris"),
    View("sensor", ("sensor",), "1h", metrics=("temperature", "air_quality")),
]
REGIONS = Regions()


def judge(reading, timestamp, _):
    at = event_time(reading.get("timestamp"))
    lat, lon = degrees(reading.get("lat"), 90), degrees(reading.get("lon"), 180)
    if at is None or at > timestamp + MAX_FUTURE or lat is None or lon is None:
        return None
    values = {}
    for name, given in reading.items():
        if name in NAMED or given is None:
            continue
        value = fixed(given) if isinstance(given, Number) else None
        if value is None and name in RANGES:
            return None
        if value is not None:
            mu, far = RANGES.get(name, (0, None))
            values[name] = (value, False, far is not None and abs(value - mu) > far)
    return Reading(at, {"region": REGIONS.containing(lat, lon), "sensor": text(reading.get("sensor_id"))}, values)


def degrees(number, limit):
    if not isinstance(number, Number):
        return None
    value = float(number)
    return value if abs(value) <= limit else None


# ---- writing

def extra(kafka, topic):
    """Records at the topic's newest event time, so that none is late."""
    records = servers.dump(kafka, topic)
    usual = {
        "sensor_id": "sensor-new",
        "timestamp": newest(records, judge),
        "lat": 48.117,
        "lon": -1.678,
        "temperature": 25.5,
        "uv_index": 4.2,
    }
    odd = [
        {},
        {"ozone": 61, "uv_index": -0.000000001},
        {"uv_index": "4.2"},
        {"uv_index": None},
        {"uv_index": True},
        {"firmware": "7.1.0", "uv_index": 3},
        {"temperature": None, "humidity": 69.000000001},
        {"humidity": 69},
        {"temperature": "25.5"},
        {"sensor_id": None},
        {"sensor_id": ""},
        {"sensor_id": "roof/2"},
        {"lat": 0, "lon": 0, "uv_index": 5},
        {"lat": "48.117"},
    ]
    writer = servers.producer(kafka)
    for number, changed in enumerate(odd):
        value = json.dumps([usual | changed, usual])
        servers.send(writer, topic, number % len(records), f"extra-{number}", value, 0)
    assert writer.flush(60) == 0, "not everything was delivered"


# ---- recounting

def check(kafka, topic, cassandra, keyspace):
    recount = Recount(VIEWS, judge, REGIONS.names)
    recount.topic(servers.dump(kafka, topic))
    wanted = recount.rows()
    problems = compare.tables(wanted, cassandra, keyspace, compare.EXACT + ("labels",))
    problems += recount.lacking("folded", "late", "rejected", "outside", "unkeyed")
    for column in ("outliers", "mean_before", "final"):
        if not any(row[column] for row in wanted.values()):
            problems.append(f"the scenario is too tame: no row has {column}")
    metrics, regions = {place[2] for place in wanted}, {place[4] for place in wanted if place[0] == "region"}
    if not {"uv_index", "ozone"} <= metrics or len(regions) < 18:
        problems.append(f"the scenario is too tame: {len(regions)} regions, and the metrics {sorted(metrics)}")
    days = {(row["window_end"] - place[5]) // HOUR for place, row in wanted.items() if place[1] == "1d"}
    if days != {23, 24, 25}:
        problems.append(f"the scenario is too tame: days have {sorted(days)} hours")
    print(f"recount: {dict(recount.tallies)} in {len(wanted)} rows of {len(metrics)} metrics")
    compare.report(problems)


if __name__ == "__main__":
    {"extra": extra, "check": check}[sys.argv[1]](*sys.argv[2:])
