"""Counts readings into the windows of several views, rollups in a civil zone included, and says what the rows are."""
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from exact import Aggregate

SECOND, MINUTE, HOUR = 1000, 60000, 3600000
UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR}
EARLIEST = -(2**62)


# ---- reading JSON

class Number(str):
    """A JSON number as it is written."""


def parse(payload):
    """The readings of a record, or None where it cannot be split: an object, or an array of them."""
    try:
        value = json.loads(payload.decode(), parse_float=Number, parse_int=Number)
    except (AttributeError, ValueError):
        return None
    readings = value if isinstance(value, list) else [value]
    return readings if readings and all(isinstance(reading, dict) for reading in readings) else None


def text(value):
    """What a label shows of a field; None where there is nothing to show."""
    return str(value) if isinstance(value, str) and value else None


def event_time(value):
    """Milliseconds since the epoch, or None."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.removesuffix(" UTC"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return round(moment.timestamp() * 1000)


def newest(records, judge):
    """The newest event time of a dumped topic, as text; of what its stream does not reject."""
    judged = (judge(r, timestamp, key) for log in records.values() for _, timestamp, p, key in log for r in parse(p) or [])
    at = max(reading.at for reading in judged if reading is not None)
    return datetime.fromtimestamp(at // 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


# ---- windows

@lru_cache(maxsize=None)
def civil(width, zone, quarter):
    """The window of a civil width around an instant (clocks of no zone change within a quarter of an hour)."""
    tz = ZoneInfo(zone)
    moment = datetime.fromtimestamp(quarter * 15 * 60, tz)
    day, half = moment.date(), timedelta(hours=0)
    if width == "12h":
        noon = moment.hour >= 12
        start = at_hour(day, 12 if noon else 0, tz)
        end = at_hour(day + timedelta(days=1), 0, tz) if noon else at_hour(day, 12, tz)
        return start, end
    if width == "1d":
        first, last = day, day + timedelta(days=1)
    elif width == "1w":
        first = day - timedelta(days=day.weekday())
        last = first + timedelta(days=7)
    elif width == "1mo":
        first = day.replace(day=1)
        last = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    else:
        raise ValueError(width)
    return at_hour(first, 0, tz), at_hour(last, 0, tz)


def at_hour(day, hour, tz):
    return int(datetime(day.year, day.month, day.day, hour, tzinfo=tz).timestamp()) * 1000


def plain(width, at):
    length = int(width[:-1]) * UNITS[width[-1]]
    return at - at % length, at - at % length + length


# ---- views

@dataclass
class View:
    name: str
    group_by: tuple
    window: str
    rollups: tuple = ()
    zone: str = "UTC"
    metrics: tuple = None  # all of them
    allowed_lateness: int = 24 * HOUR
    before: int = 3 * HOUR

    def spans(self, at):
        yield self.window, *plain(self.window, at)
        for width in self.rollups:
            yield width, *civil(width, self.zone, at // (15 * MINUTE))


@dataclass
class Reading:
    """One that its stream has not rejected. `values`: metric → (units, alarm, outlier)."""

    at: int
    labels: dict
    values: dict
    tenant: str = ""
    active: bool = False


class Recount:
    """`judge(reading, record timestamp, record key)` gives a Reading, or None for a reject."""

    def __init__(self, views, judge, names=None, out_of_orderness=120 * SECOND, parse=parse):
        self.parse = parse
        self.views, self.judge, self.names, self.slack = views, judge, names or {}, out_of_orderness
        self.cells = defaultdict(Aggregate)  # (view, width, metric, tenant, key, start)
        self.touched = defaultdict(set)  # (view, width, tenant, key, start): records with a value in it
        self.ends = {}  # (view, width, start)
        self.labels = {}  # (view, key)
        self.newest = {}
        self.tallies = Counter()  # (view, width or "", what)

    def topic(self, records):
        for partition, log in records.items():
            newest = None
            for offset, timestamp, payload, key in log:
                seen = self.record((partition, offset), timestamp, payload, key, newest)
                newest = max((t for t in (newest, seen) if t is not None), default=None)
            self.newest[partition] = newest

    def record(self, record, timestamp, payload, key, newest):
        """Judges a record by the newest event time before it; gives the newest within it."""
        readings, latest = self.parse(payload), None
        if readings is None:
            self.tallies["", "", "rejected"] += 1
            return None
        for reading in readings:
            judged = self.judge(reading, timestamp, key)
            if judged is None:
                self.tallies["", "", "rejected"] += 1
                continue
            latest = judged.at if latest is None else max(latest, judged.at)
            for view in self.views:
                self.view(view, record, judged, newest)
        return latest

    def view(self, view, record, reading, newest):
        parts = [reading.labels.get(name) for name in view.group_by]
        if None in parts:
            outside = "region" in view.group_by and reading.labels.get("region") is None
            self.tallies[view.name, "", "outside" if outside else "unkeyed"] += 1
            return
        key = "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)
        self.labels[view.name, key] = dict(zip(view.group_by, parts))
        for width, start, end in view.spans(reading.at):
            if newest is not None and end + view.allowed_lateness <= newest - self.slack:
                self.tallies[view.name, width, "late"] += 1
                continue
            self.tallies[view.name, width, "folded"] += 1
            self.ends[view.name, width, start] = end
            for metric, (value, alarm, outlier) in reading.values.items():
                if view.metrics is None or metric in view.metrics:
                    self.touched[view.name, width, reading.tenant, key, start].add(record)
                    cell = self.cells[view.name, width, metric, reading.tenant, key, start]
                    cell.add(value, alarm, reading.active, outlier)

    def rows(self):
        """{(view, width, metric, tenant, key, start): the row's columns}."""
        watermark = min(EARLIEST if t is None else t - self.slack for t in self.newest.values())
        views = {view.name: view for view in self.views}
        wanted = {}
        for place, cell in self.cells.items():
            name, width, metric, tenant, key, start = place
            view, row = views[name], cell.row()
            earlier = self.cells.get((name, width, metric, tenant, key, start - view.before)) if width == "1h" else None
            row["mean_before"] = earlier.row()["mean"] if earlier else None
            row["revision"] = len(self.touched[name, width, tenant, key, start])
            row["labels"] = self.labels[name, key]
            row["label"] = self.names[row["labels"]["region"]] if "region" in view.group_by else key
            row["window_end"] = self.ends[name, width, start]
            row["final"] = row["window_end"] + view.allowed_lateness <= watermark
            wanted[place] = row
        return wanted

    def count(self, what, view=None):
        return sum(n for (name, _, kind), n in self.tallies.items() if kind == what and view in (None, name))

    def lacking(self, *kinds):
        """What the scenario should have had for the comparison to mean something."""
        return [f"the scenario is too tame: no reading is {kind}" for kind in kinds if not self.count(kind)]
