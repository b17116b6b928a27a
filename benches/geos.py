"""Position → region with GEOS (through shapely): prepared polygons behind an STR-tree, a whole column in one call into C. The answers
are compared with those of `etiage locate`.

  geos.py ETIAGE REGIONS.geojson...
"""
import csv
import io
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy
import shapely

POSITIONS = 200_000
ROUNDS = 5


def nanoseconds(regions, lon, lat):
    """The least of a few rounds, a position; and the number of each one's region, −1 outside."""
    tree = shapely.STRtree(regions)
    shapely.prepare(regions)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        # The boxes that hold the point, then the prepared polygons in them. (The tree's own predicates prepare the point.)
        at, region = tree.query(shapely.points(lon, lat))
        inside = shapely.contains_xy(regions[region], lon[at], lat[at])
        times.append(time.perf_counter_ns() - start)
    answers = numpy.full(len(lon), -1)
    answers[at[inside]] = region[inside]
    return min(times) / len(lon), answers


def ours(etiage, path, lon, lat):
    """The code of each position's region, empty outside."""
    text = "lat,lon\n" + "".join(f"{y!r},{x!r}\n" for x, y in zip(lon.tolist(), lat.tolist()))
    done = subprocess.run([etiage, "locate", "--csv", "--regions", path], input=text, capture_output=True, text=True, check=True)
    return [row["region_code"] for row in csv.DictReader(io.StringIO(done.stdout))]


def main(etiage, paths):
    draw = random.Random(1)
    lat = numpy.array([draw.uniform(42.3, 51.1) for _ in range(POSITIONS)])
    lon = numpy.array([draw.uniform(-4.8, 8.2) for _ in range(POSITIONS)])
    for path in paths:
        features = json.loads(Path(path).read_text())["features"]
        regions = numpy.array([shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features])
        codes = [feature["properties"]["code"] for feature in features]
        each, answers = nanoseconds(regions, lon, lat)
        theirs = ["" if number < 0 else codes[number] for number in answers]
        different = sum(one != other for one, other in zip(theirs, ours(etiage, path, lon, lat), strict=True))
        if different:
            sys.exit(f"{path}: {different} of {POSITIONS} answers differ")
        print(f"locate/{Path(path).stem}, box of the mainland: GEOS {shapely.geos_version_string} prepared behind an STR-tree {each:.0f} ns")


main(sys.argv[1], sys.argv[2:])
