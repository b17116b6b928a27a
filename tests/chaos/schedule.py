"""Which faults happen when: drawn from the seed alone, before anything runs.

Three lanes run beside each other: the engines', the brokers' and the store's. Within a lane faults follow one another,
and the next one waits until the last is healed: so never are two brokers, or two store nodes, down at once.
"""
import random
from dataclasses import dataclass

SESSION = 6  # seconds, as in tests/it/support/temperatures.toml: a stopped engine has lost its partitions then
FIRST, LAST = 8, 12  # seconds from the start to the first fault, and at the least from the last one to the end
NEW_PARTITIONS = 6  # at most so many are added in a run

# What a lane draws from: every kind once, in the seed's order, then again.
LANES = {
    "engines": ("kill", "zombie", "term", "rolling", "all"),
    "brokers": ("broker", "partition", "cut-broker"),
    "store": ("node", "slow", "cut-store"),
}
# Without network namespaces.
INSTEAD = {"cut-broker": "broker", "cut-store": "slow"}
# Seconds from one fault's end to the next in its lane. Some are long enough for a partition to be committed meanwhile:
# where it gets another owner all the time, or no answer from the store, nobody could.
GAPS = {"engines": (8, 40), "brokers": (8, 40), "store": (8, 40)}
# Seconds that a fault lasts.
HOLDS = {
    "kill": (0, 8),
    "zombie": (SESSION + 3, SESSION + 10),
    "term": (0, 5),
    "rolling": (0, 2),  # between an instance's end and its new start
    "all": (0, 5),
    "broker": (5, 20),
    "partition": (0, 0),
    "cut-broker": (5, 25),
    "node": (5, 20),
    "slow": (6, 15),
    "cut-store": (5, 25),
}


# Seconds until what was broken is whole again: what the next fault of a lane is planned by (and then waits for).
HEALS = {"rolling": 20, "broker": 8, "node": 15}


@dataclass(frozen=True)
class Fault:
    lane: str
    kind: str
    at: float  # seconds after the start, at the earliest
    hold: float
    targets: tuple  # names of those that suffer: one, or the two ends of a link
    one_way: bool = False  # of a cut: from the first to the second only
    pulses: tuple = ()  # of a slow node: (stopped, running) seconds

    def shown(self):
        if len(self.targets) == 2:
            return f"{self.kind} " + (" → " if self.one_way else " ↔ ").join(self.targets)
        return " ".join((self.kind, *self.targets[:1])) if len(self.targets) == 1 else self.kind


def draw(seed, seconds, links):
    """The faults of a run, in the order of their times."""
    faults = []
    for lane in LANES:
        faults += draw_lane(lane, random.Random(f"{seed} {lane}"), seconds, links)
    return sorted(faults, key=lambda fault: fault.at)


def draw_alone(seed, seconds):
    """Faults that come last, each with nothing else broken, for what is measured. A short run has no time for them."""
    rng = random.Random(f"{seed} alone")
    return [draw_fault("alone", kind, seconds, rng) for kind in ("rolling", "kill")] if seconds >= 180 else []


def draw_lane(lane, rng, seconds, links):
    faults, deck, at, added = [], [], FIRST + rng.uniform(0, 10), 0
    while True:
        if not deck:
            deck = list(LANES[lane])
            rng.shuffle(deck)
        kind = deck.pop()
        if kind == "partition":
            added += 1
            if added > NEW_PARTITIONS:
                continue
        if not links:
            kind = INSTEAD.get(kind, kind)
        fault = draw_fault(lane, kind, round(at, 1), rng)
        at += fault.hold + HEALS.get(kind, 0) + rng.uniform(*GAPS[lane])
        if fault.at + fault.hold + HEALS.get(kind, 0) + LAST > seconds:
            return faults
        faults.append(fault)


def draw_fault(lane, kind, at, rng):
    hold = round(rng.uniform(*HOLDS[kind]), 1)
    if kind in ("cut-broker", "cut-store"):
        server = "kafka" if kind == "cut-broker" else "cassandra"
        other = f"engine-{rng.randint(1, 3)}"
        name = f"{server}-{rng.randint(1, 3)}"
        if rng.random() < 0.5:
            other = f"{server}-{rng.choice([n for n in range(1, 4) if not name.endswith(str(n))])}"
        ends = [other, name]
        rng.shuffle(ends)
        return Fault(lane, kind, at, hold, tuple(ends), one_way=rng.random() < 0.5)
    if kind == "slow":
        pulses = tuple((round(rng.uniform(0.2, 1.5), 2), round(rng.uniform(0.1, 0.5), 2)) for _ in range(40))
        return Fault(lane, kind, at, hold, (f"cassandra-{rng.randint(1, 3)}",), pulses=pulses)
    if kind in ("rolling", "all"):
        return Fault(lane, kind, at, hold, ("engine-1", "engine-2", "engine-3"))
    if kind == "partition":
        return Fault(lane, kind, at, hold, ())
    server = {"broker": "kafka", "node": "cassandra"}.get(kind, "engine")
    return Fault(lane, kind, at, hold, (f"{server}-{rng.randint(1, 3)}",))
