"""Where a point lies, by GEOS (shapely) over the shipped GeoJSON: independent of this crate's lookup."""
import json
import os
import random

import shapely
from shapely.geometry import Point, shape

SHIPPED = os.path.join(os.path.dirname(__file__), "..", "..", "..", "regions", "regions.geojson")


class Regions:
    def __init__(self, path=SHIPPED):
        with open(path, encoding="utf-8") as file:
            features = json.load(file)["features"]
        self.codes = [feature["properties"]["code"] for feature in features]
        self.names = {f["properties"]["code"]: f["properties"]["nom"] for f in features}
        self.shapes = [shape(feature["geometry"]) for feature in features]
        shapely.prepare(self.shapes)
        self.tree = shapely.STRtree(self.shapes)
        self.known = {}

    def containing(self, lat, lon):
        """The code of the region that the point lies strictly inside of, or None."""
        place = (lat, lon)
        if place not in self.known:
            found = self.tree.query(Point(lon, lat), predicate="within")
            assert len(found) <= 1, f"{place} lies in {len(found)} regions"
            self.known[place] = self.codes[found[0]] if len(found) else None
        return self.known[place]

    def touching(self, lat, lon):
        """The codes of every region that holds the point or has it on its border."""
        return {self.codes[i] for i in self.tree.query(Point(lon, lat), predicate="intersects")}

    def inside(self, code, count, seed, margin=0.02):
        """Points inside a region, at least `margin` degrees from every border."""
        draw = random.Random(f"{code} {seed}")
        area = self.shapes[self.codes.index(code)].buffer(-margin)
        west, south, east, north = area.bounds
        points = []
        while len(points) < count:
            lat, lon = round(draw.uniform(south, north), 7), round(draw.uniform(west, east), 7)
            if area.contains(Point(lon, lat)):
                points.append((lat, lon))
        return points

    def outside(self, count, seed):
        """Points in none of the regions, well away from them: at sea, abroad."""
        draw = random.Random(f"outside {seed}")
        points = []
        while len(points) < count:
            lat, lon = round(draw.uniform(-60, 70), 7), round(draw.uniform(-170, 170), 7)
            if self.tree.nearest(Point(lon, lat)) is not None and self.containing(lat, lon) is None:
                if min(shape.distance(Point(lon, lat)) for shape in self.shapes) > 0.1:
                    points.append((lat, lon))
        return points
