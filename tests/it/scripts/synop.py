"""Météo-France's SYNOP messages: writes them into a topic, and recounts the files, not the topic.

  synop.py produce KAFKA TOPIC PARTITIONS DIR          DIR holds synop.YYYYMM.csv and postesSynop.csv
  synop.py check CASSANDRA KEYSPACE DIR
"""
import csv
import glob
import sys
from collections import defaultdict
from datetime import datetime, timezone
from itertools import groupby

import compare
import servers
from exact import Aggregate, fixed
from places import Regions

HOUR = 3600000
# The same as in tests/it/support/synop.toml: metric → (column, offset).
METRICS = {"temperature": ("t", "-273.15"), "humidity": ("u", "0"), "pressure": ("pres", "0")}


def lines(directory):
    """(header, [(station, time in ms, line, fields)]) of all files, sorted by time as they are."""
    header, found = None, []
    for path in sorted(glob.glob(f"{directory}/synop.*.csv")):
        with open(path, encoding="utf-8") as file:
            header = next(file).rstrip("\n")
            columns = header.split(";")
            for line in file:
                line = line.rstrip("\n")
                fields = dict(zip(columns, line.split(";")))
                moment = datetime.strptime(fields["date"], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
                found.append((fields["numer_sta"], int(moment.timestamp()) * 1000, line, fields))
    return header, found


def produce(kafka, topic, partitions, directory):
    servers.create_topic(kafka, topic, partitions)
    writer = servers.producer(kafka)
    header, found = lines(directory)
    for at, group in groupby(found, key=lambda item: item[1]):
        shares = defaultdict(list)
        for station, _, line, _ in group:
            shares[int(station) % partitions].append(line)
        for partition, share in shares.items():
            servers.send(writer, topic, partition, str(partition), "\n".join([header, *share]), at)
    assert writer.flush(120) == 0, "not everything was delivered"
    print(f"produced {len(found)} readings")


def recount(directory):
    regions = Regions()
    with open(f"{directory}/postesSynop.csv", encoding="utf-8") as file:
        places = {s["ID"]: (float(s["Latitude"]), float(s["Longitude"])) for s in csv.DictReader(file, delimiter=";")}
    hours, months = defaultdict(Aggregate), defaultdict(Aggregate)
    for station, at, _, fields in lines(directory)[1]:
        key = regions.containing(*places[station])
        if key is None:
            continue
        moment = datetime.fromtimestamp(at / 1000, timezone.utc)
        for metric, (column, offset) in METRICS.items():
            if fields[column] != "mq":
                value = fixed(fields[column], offset=offset)
                hours["region", "1h", metric, "", key, at - at % HOUR].add(value)
                months[key, moment.month, moment.hour, metric].add(value)
    return hours, months


def monthly_by_hour(rows):
    """The monthly means by hour of the day, as a reader of the rows makes them."""
    sums = defaultdict(lambda: [0.0, 0])
    for (_, _, metric, _, key, start), row in rows.items():
        moment = datetime.fromtimestamp(start / 1000, timezone.utc)
        cell = sums[key, moment.month, moment.hour, metric]
        cell[0] += row["mean"] * row["count"]
        cell[1] += row["count"]
    return {place: total / count for place, (total, count) in sums.items()}


def check(cassandra, keyspace, directory):
    hours, months = recount(directory)
    problems = compare.tables(
        {place: cell.row() for place, cell in hours.items()}, cassandra, keyspace, ("count", "mean", "min", "max", "stddev")
    )
    rows = servers.Rows(cassandra, keyspace)
    found = monthly_by_hour(rows.table("rows_by_key"))
    rows.close()
    if found.keys() != months.keys():
        problems.append(f"{len(found)} monthly means by hour, should be {len(months)}")
    for place in found.keys() & months.keys():
        wanted = months[place].row()["mean"]
        if abs(found[place] - wanted) > 1e-9 * max(1.0, abs(wanted)):
            problems.append(f"monthly mean by hour {place} is {found[place]!r}, should be {wanted!r}")
    places = {place[0] for place in months}
    print(f"{len(months)} monthly means by hour in {len(places)} regions")
    compare.report(problems)


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        produce(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        check(*sys.argv[2:])
