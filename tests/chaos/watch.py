"""Samples, a few times a second, how far the log, the commits and the folding are; what is measured comes from these."""
import threading
import time
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

import engines as of

EVERY = 0.5


@dataclass
class Sample:
    at: float
    ends: dict
    committed: dict
    lags: dict = field(default_factory=dict)  # partition: records not yet folded by its owner
    fresh: bool = True  # false: Kafka did not answer in time, and what it said last stands here

    def lag(self):
        """Folded lag of the whole topic: what nobody has in its hands counts from its commit."""
        return sum(self.lags.get(p, end - self.committed.get(p, 0)) for p, end in self.ends.items())

    def behind(self, ends):
        """Partitions whose commit has not reached these ends."""
        return {p: (self.committed.get(p, 0), end) for p, end in ends.items() if self.committed.get(p, 0) < end}


class Watch(threading.Thread):
    """`stuck` is called, once, with what is wrong when a partition is behind and its commit has not advanced for `patience` seconds."""

    def __init__(self, cluster, engines, partitions, patience, stuck):
        super().__init__(daemon=True)
        self.engines, self.partitions = engines, partitions
        self.patience, self.stuck = patience, stuck
        # Only asks: it never subscribes, so it is no member. (Requests of the admin client that time out can abort a
        # process, in librdkafka 2.16.)
        self.client = Consumer(
            {
                "bootstrap.servers": cluster.kafka,
                "group.id": of.GROUP,
                "enable.auto.commit": False,
                "topic.metadata.refresh.interval.ms": 5000,  # else a leader that has moved is unknown for minutes
                "log_level": 0,
            }
        )
        self.samples, self.ended = [], threading.Event()
        self.ends, self.committed = {}, {}
        self.moved = {}  # partition that is behind: (since when its commit stands, where)

    def run(self):
        while not self.ended.wait(EVERY):
            self.engines.revive()
            self.engines.read_logs()
            try:
                fresh = self.ask_kafka()
            except Exception:  # a broker is away
                fresh = False
            sample = Sample(time.time(), dict(self.ends), dict(self.committed), self.lags(), fresh)
            self.samples.append(sample)
            self.look_for_stuck(sample)

    def look_for_stuck(self, sample):
        behind = sample.behind(sample.ends)
        for partition, (committed, _) in behind.items():
            since, was = self.moved.get(partition, (sample.at, committed))
            if committed != was:
                since = sample.at
            self.moved[partition] = (since, committed)
        for partition in self.moved.keys() - behind.keys():
            del self.moved[partition]
        stuck = {p: behind[p] for p, (since, _) in self.moved.items() if sample.at - since > self.patience}
        if stuck and self.stuck:
            self.stuck(f"no commit of these partitions for {self.patience} s (committed, end): {stuck}")
            self.stuck = None

    def ask_kafka(self):
        """Whether everything was answered."""
        names = range(self.partitions)
        ends = self.client.offsets_for_times([TopicPartition(of.TOPIC, p, OFFSET_END) for p in names], 3)
        known = [one for one in ends if not one.error and one.offset >= 0]  # where the leader is away there is none
        self.ends.update((one.partition, one.offset) for one in known)
        committed = self.client.committed([TopicPartition(of.TOPIC, p) for p in names], 3)
        self.committed.update((one.partition, one.offset) for one in committed if not one.error and one.offset >= 0)
        return len(known) == len(names)

    def lags(self):
        owners = self.engines.owners()
        told = {name: self.engines.folded_lags(name) for name in set(owners.values()) - self.engines.stopped}
        return {p: told[name][p] for p, name in owners.items() if p in told.get(name, {})}

    def last(self):
        return self.samples[-1]

    def wait_committed(self, seconds, to=None):
        """Waits until all is committed that the log holds, or up to these ends; gives what is behind after so long."""
        deadline = time.time() + seconds
        while True:
            seen = len(self.samples)
            time.sleep(2 * EVERY)
            for one in self.samples[seen:]:
                ends = one.ends if to is None else to
                if one.fresh and len(one.ends) == self.partitions and not one.behind(ends):
                    return {}
            if time.time() > deadline or self.ended.is_set():
                return self.last().behind(to or self.last().ends) or {"ends": "not known"}
