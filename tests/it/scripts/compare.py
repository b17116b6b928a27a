"""Compares what a recount wants with what CQL and `etiage status` say; differences are listed, not raised."""
import struct
import sys
import threading
from collections import Counter
from collections.abc import Mapping

import servers

EXACT = ("count", "min", "max", "mean", "stddev", "alarms", "active", "outliers", "mean_before", "revision", "label")


def bits(value):
    if isinstance(value, Mapping):
        return dict(value)
    return struct.pack(">d", value) if isinstance(value, float) else value


def tables(wanted, cassandra, keyspace, columns=EXACT):
    """Both tables against {(view, width, metric, tenant, key, start): {column: value}}."""
    rows = servers.Rows(cassandra, keyspace)
    problems = []
    try:
        for name in ("rows_by_key", "rows_by_time"):
            found = rows.table(name)
            for place in sorted(wanted.keys() - found.keys()):
                problems.append(f"{name} lacks {place}: {wanted[place]}")
            for place in sorted(found.keys() - wanted.keys()):
                problems.append(f"{name} has {place}, which no reading belongs to: {found[place]}")
            for place in sorted(wanted.keys() & found.keys()):
                problems += row(f"{name} {place}", wanted[place], found[place], columns)
            print(f"{name}: {len(found)} rows")
    finally:
        rows.close()
    if not wanted:
        problems.append("the recount has no rows: nothing was compared")
    return problems


def row(place, wanted, found, columns):
    problems = []
    for column in columns:
        if bits(wanted[column]) != bits(found[column]):
            problems.append(f"{place}: {column} is {found[column]!r}, should be {wanted[column]!r}")
    if "window_end" in wanted and servers.milliseconds(found["window_end"]) != wanted["window_end"]:
        problems.append(f"{place}: window_end is {found['window_end']}, should be {wanted['window_end']}")
    if "final" in wanted and bool(found["final"]) != wanted["final"]:
        problems.append(f"{place}: final is {found['final']}, should be {wanted['final']}")
    return problems


def watch(cassandra, keyspace):
    """Polls both tables until standard input ends; no row may lose a reading, or fall back to an earlier generation."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    rows = servers.Rows(cassandra, keyspace)
    seen, polls, problems = {}, 0, []
    try:
        while not ended.is_set():
            for name in ("rows_by_key", "rows_by_time"):
                for place, row_now in rows.table(name).items():
                    now = (row_now["generation"], row_now["count"])
                    before = seen.get((name, place), now)
                    if now[0] < before[0] or now[1] < before[1]:
                        problems.append(f"{name} {place}: (generation, count) went from {before} to {now}")
                    seen[name, place] = now
            polls += 1
    finally:
        rows.close()
    generations = Counter(generation for generation, _ in seen.values())
    print(f"watched: {len(seen)} rows in {polls} polls, at the end of generations {dict(generations)}")
    report(problems)


def leaves(node, topic=None, partition=None):
    """Every object of a status that holds tallies, with the topic and partition it stands under."""
    if isinstance(node, dict):
        topic, partition = node.get("topic", topic), node.get("partition", partition)
        if "folded" in node and "seen" in node:
            yield topic, partition, node
        for child in node.values():
            yield from leaves(child, topic, partition)
    elif isinstance(node, list):
        for child in node:
            yield from leaves(child, topic, partition)


def tallies(wanted, status, topic):
    problems, found = [], {}
    for name, partition, tally in leaves(status):
        if name != topic:
            continue
        found[partition] = tally
        parts = sum(tally.get(kind, 0) for kind in ("folded", "late", "rejected", "outside", "filtered", "before_history"))
        if tally["seen"] != parts:
            problems.append(f"partition {partition}: {tally['seen']} seen, {parts} accounted for")
        for kind in ("seen", "folded", "late", "rejected", "outside", "filtered"):
            if tally.get(kind, 0) != wanted[partition][kind]:
                problems.append(f"partition {partition}: {tally.get(kind)} {kind}, should be {wanted[partition][kind]}")
        # In the order of the view's metrics, which are sorted by name.
        metrics = sorted(kind.removeprefix("missing ") for kind in wanted[partition] if kind.startswith("missing "))
        missing = [wanted[partition]["missing " + metric] for metric in metrics]
        if "missing" in tally and metrics and tally["missing"] != missing:
            problems.append(f"partition {partition}: {tally['missing']} without a value, should be {missing}")
    for partition in wanted.keys() - found.keys():
        problems.append(f"the status says nothing of partition {partition}")
    return problems


def show(cassandra, keyspace):
    """Every cell of both tables: two of these are equal where no row changed."""
    rows = servers.Rows(cassandra, keyspace)
    for name in ("rows_by_key", "rows_by_time"):
        for place, found in sorted(rows.table(name).items()):
            print(name, place, sorted(found.items(), key=lambda item: item[0]))
    rows.close()


def report(problems):
    for problem in problems[:20]:
        print(problem)
    if problems:
        print(f"{len(problems)} differences")
        sys.exit(1)
    print("all equal")
