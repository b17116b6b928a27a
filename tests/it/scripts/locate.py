"""Points for `etiage locate --csv`, and a check of its answers against GEOS.

  locate.py points COUNT SEED > points.csv
  locate.py check points.csv answers.csv
"""
import csv
import random
import sys

import shapely

import compare
from places import Regions


def forms(draw, number):
    """A float in one of the ways people write it; each reads back exactly."""
    return draw.choice([repr(number), f"{number:.17e}", f"{number:+.17g}", f"{number:.17E}"])


def points(count, seed):
    regions, draw = Regions(), random.Random(seed)
    corners = shapely.get_coordinates(regions.shapes)
    bounds = [part.bounds for part in shapely.get_parts(regions.shapes)]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["id", "lat", "lon", "note"])
    for number in range(count):
        if number % 3 == 0:  # anywhere in the box of a polygon
            west, south, east, north = draw.choice(bounds)
            lon, lat = draw.uniform(west - 0.1, east + 0.1), draw.uniform(south - 0.1, north + 0.1)
        elif number % 30 == 1:  # a corner of a border
            lon, lat = map(float, draw.choice(corners))
        else:  # close to a border
            lon, lat = map(float, draw.choice(corners))
            near = 10 ** draw.uniform(-13, -2)
            lon, lat = lon + draw.uniform(-near, near), lat + draw.uniform(-near, near)
        out.writerow([number, forms(draw, lat), forms(draw, lon), 'a "quoted", note' if number % 7 == 0 else ""])
    for lat, lon in [(0, 0), (90, 180), (-90, -180), (46.5, 2.5), (-21.1, 55.5)]:
        out.writerow([count, lat, lon, ""])


def check(asked, answered):
    regions, problems, seen = Regions(), [], {"inside": 0, "outside": 0, "border": 0}
    with open(asked, encoding="utf-8") as one, open(answered, encoding="utf-8") as two:
        questions, answers = list(csv.reader(one)), list(csv.reader(two))
    if len(questions) != len(answers) or answers[0] != questions[0] + ["region_code", "region_name"]:
        problems.append(f"{len(answers)} lines for {len(questions)}, header {answers[0]}")
    for question, answer in zip(questions[1:], answers[1:]):
        lat, lon = float(question[1]), float(question[2])
        code, name = answer[-2:]
        inside, touching = regions.containing(lat, lon), regions.touching(lat, lon)
        # On a border the rule is the crate's own: one of the regions that meet there, or outside.
        allowed = {inside} if inside else touching | {""} if touching else {""}
        seen["inside" if inside else "border" if touching else "outside"] += 1
        if code not in allowed or name != regions.names.get(code, "") or answer[:-2] != question:
            problems.append(f"{question} is answered {answer}, should be one of {allowed}")
    print(seen)
    compare.report(problems)


if __name__ == "__main__":
    if sys.argv[1] == "points":
        points(int(sys.argv[2]), int(sys.argv[3]))
    else:
        check(sys.argv[2], sys.argv[3])
