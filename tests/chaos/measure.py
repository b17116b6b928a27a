"""What the samples say: how long nothing advanced, how fast what was broken was made up for. Measured, not asserted."""


def longest_without_progress(samples, began, ended):
    """(seconds, when it began) of the longest time in which no partition's commit advanced."""
    return max(stands(samples, began, ended, lambda s: sum(s.committed.values())))


def longest_of_a_partition(samples, began, ended):
    """(seconds, when it began, partition) of the longest time in which one partition was behind and its commit stood."""
    def of(partition):
        return lambda s: s.committed.get(partition, 0) if partition in s.behind(s.ends) else None

    return max((*max(stands(samples, began, ended, of(p))), p) for p in {p for s in samples for p in s.ends})


def stands(samples, began, ended, told):
    """(seconds, since when) of each time in which what is told did not grow; None tells that it need not."""
    before, since = None, began
    for sample in (s for s in samples if began <= s.at <= ended):
        now = told(sample)
        if before is not None and (now is None or now > before):
            yield sample.at - since, since
        if before is None or now is None or now > before:
            since = sample.at
        before = now
    yield (ended - since if before is not None else 0.0), since


def recovery(samples, healed):
    """Seconds from the healing until everything that the log held then is committed; None where it never was."""
    later = [s for s in samples if s.at >= healed]
    if not later:
        return None
    ends = later[0].ends
    return next((max(0.0, s.at - healed) for s in later if not s.behind(ends)), None)


def resumptions(happened, events, samples):
    """After each kill -9 of one engine: (engine, kill to reassignment, reassignment to resumed) in seconds.

    Reassignment: the last of its partitions has been given to another one. Resumed: each of them is folded past where
    its new owner took it up, as far as the gauges tell, which are renewed every 0.5 s.
    """
    found = []
    for one in happened:
        if one.fault.kind != "kill":
            continue
        (name,) = one.fault.targets
        owners = {}
        for at, owner, partition, *_ in events:
            if at < one.began:
                owners[partition] = owner
        lost = {partition for partition, owner in owners.items() if owner == name}
        taken = {}
        for at, _, partition, position, end in events:
            if at >= one.began and partition in lost and partition not in taken:
                taken[partition] = (at, position, end)
        if lost and taken.keys() == lost:
            reassigned = max(at for at, *_ in taken.values())
            resumed = max(first_folded(samples, p, *taken[p]) for p in taken)
            found.append((one, reassigned - one.began, resumed - reassigned if resumed < float("inf") else None))
    return found


def first_folded(samples, partition, at, position, end):
    if end <= position:
        return at
    for sample in samples:
        if sample.at > at and partition in sample.lags and sample.ends.get(partition, 0) - sample.lags[partition] > position:
            return sample.at
    return float("inf")


def rolling_lags(happened, samples, rate):
    """For each rolling restart: (it, the greatest folded lag from its start until it was made up for, as seconds of input)."""
    found = []
    for one in happened:
        if one.fault.kind == "rolling" and one.healed:
            until = one.healed + (recovery(samples, one.healed) or 0)
            lags = [s.lag() for s in samples if one.began <= s.at <= until]
            found.append((one, max(lags, default=0) / rate))
    return found
