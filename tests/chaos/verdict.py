"""What is right at the end: every row, tally and reject against a recount of the topic that shares no code with the crate."""
import contextlib
import json
import sys
from collections import Counter
from dataclasses import dataclass, field

import cluster  # for the path to the scripts below
import compare
import engines as of
import servers
from temperatures import Recount

del cluster


@dataclass
class Verdict:
    differences: list = field(default_factory=list)
    readings: int = 0
    records: int = 0
    rows: int = 0
    tallies: dict = field(default_factory=dict)


def judge(kafka, cassandra, status):
    """`cassandra`: one node's address; `status`: of `etiage status --json`."""
    found, recount = Verdict(), Recount()
    records = servers.dump(kafka, of.TOPIC)
    recount.topic(records)
    wanted = recount.rows()
    with contextlib.redirect_stdout(sys.stderr):
        found.differences += compare.tables(wanted, cassandra, of.KEYSPACE)
    status = json.loads(status)
    found.differences += compare.tallies(recount.tallies, status, of.TOPIC)
    if not status["adds_up"]:
        found.differences.append("etiage status says that the tallies do not add up")
    total = sum(recount.tallies.values(), Counter())
    # At least once each, and nothing else: a crash may repeat one, its key tells.
    for name, kinds in ((of.REJECTS, ("rejected", "outside")), (of.LATE, ("late",))):
        keys, expected = servers.keys(kafka, name), sum(total[kind] for kind in kinds)
        if len(keys) != expected or not all(key.startswith(of.TOPIC + "/") for key in keys):
            found.differences.append(f"{name} has {len(keys)} keys, should be {expected}")
    for kind in ("folded", "late", "rejected", "outside", "filtered", "missing temperature"):
        if not total[kind]:
            found.differences.append(f"the run was too tame: no reading is {kind}")
    found.readings, found.rows = total["seen"], len(wanted)
    found.records = sum(map(len, records.values()))
    found.tallies = {kind: total[kind] for kind in sorted(total)}
    return found


def cells(cassandra):
    """Every cell of both tables: two of these are equal where no row changed."""
    rows = servers.Rows(cassandra, of.KEYSPACE)
    try:
        return {(name, place): tuple(sorted(row.items())) for name in ("rows_by_key", "rows_by_time") for place, row in rows.table(name).items()}
    finally:
        rows.close()
