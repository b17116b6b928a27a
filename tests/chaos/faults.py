"""Makes the faults of a schedule happen: a thread a lane, each fault healed before its lane's next one."""
import threading
import time
from dataclasses import dataclass

import engines as of

WHOLE = 240  # seconds until servers must work together again; longer is stuck
CAUGHT_UP = 180  # seconds that a fault that is to come alone waits at the most, and …
SETTLED = 10  # … at the least
JOIN = 60  # seconds that a rolling restart waits for an instance to be given partitions, before it goes on


@dataclass
class Happened:
    fault: object
    began: float
    healed: float = None  # what was broken is whole again; the engines may still have to catch up
    note: str = ""


class Stuck(Exception):
    """What should heal does not."""


class Faults:
    def __init__(self, cluster, engines, network, sending, watch, say):
        self.cluster, self.engines, self.network = cluster, engines, network
        self.sending, self.watch, self.say = sending, watch, say
        self.happened, self.failures, self.abandoned = [], [], threading.Event()

    def run(self, schedule, begun):
        """Returns once all have happened, or one of them could not."""
        lanes = {fault.lane for fault in schedule}
        threads = [
            threading.Thread(target=self.lane, args=([f for f in schedule if f.lane == lane], begun), daemon=True)
            for lane in sorted(lanes)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # in short steps, so that a signal is heard
                thread.join(0.5)
        self.happened.sort(key=lambda one: one.began)

    def lane(self, faults, begun):
        for fault in faults:
            if self.abandoned.wait(max(0, begun + fault.at - time.time())):
                return
            if not self.happen(fault, begun):
                return

    def run_alone(self, faults, begun):
        """One after the other, each once all before it has been made up for."""
        for fault in faults:
            behind = self.watch.wait_committed(CAUGHT_UP, to=dict(self.watch.last().ends))
            if behind:
                self.say(f"not caught up after {CAUGHT_UP} s: {behind}")
            if self.abandoned.wait(SETTLED) or not self.happen(fault, begun):
                return

    def happen(self, fault, begun):
        one = Happened(fault, time.time())
        self.happened.append(one)
        self.say(f"{one.began - begun:7.1f} s  {fault.shown()} ({fault.hold:g} s)" + (" alone" if fault.lane == "alone" else ""))
        try:
            one.note = getattr(self, fault.kind.replace("-", "_"))(fault) or ""
        except Exception as error:
            self.failures.append(f"{fault.shown()}: {error}")
            self.abandoned.set()
            return False
        one.healed = time.time()
        return True

    def hold(self, fault):
        self.abandoned.wait(fault.hold)

    # ---- engines

    def kill(self, fault):
        (name,) = fault.targets
        self.engines.kill(name)
        self.hold(fault)
        self.engines.start(name)

    def zombie(self, fault):
        """It wakes up in the belief that its partitions are still its own."""
        (name,) = fault.targets
        self.engines.pause(name)
        self.hold(fault)
        self.engines.go_on(name)

    def term(self, fault):
        (name,) = fault.targets
        took = self.engines.term(name)
        self.hold(fault)
        self.engines.start(name)
        return f"left in {took:.1f} s"

    def rolling(self, fault):
        for name in of.NAMES:
            self.engines.term(name)
            self.hold(fault)
            started = time.time()
            self.engines.start(name)
            while not self.engines.given(name, started) and time.time() < started + JOIN:
                if self.abandoned.wait(0.2):
                    return

    def all(self, fault):
        for name in of.NAMES:
            self.engines.kill(name)
        self.hold(fault)
        for name in of.NAMES:
            self.engines.start(name)

    # ---- servers

    def whole(self, kind):
        lack = self.cluster.whole(kind, WHOLE)
        if lack:
            raise Stuck(f"after {WHOLE} s still: {lack}")

    def broker(self, fault):
        self.down_and_up(fault, "kafka")

    def node(self, fault):
        self.down_and_up(fault, "cassandra")

    def down_and_up(self, fault, kind):
        (name,) = fault.targets
        self.cluster.kill(name)
        self.hold(fault)
        self.cluster.up(name)
        self.whole(kind)

    def slow(self, fault):
        (name,) = fault.targets
        end, pulses = time.time() + fault.hold, 0
        while time.time() < end and not self.abandoned.is_set():
            stopped, running = fault.pulses[pulses % len(fault.pulses)]
            self.cluster.pause(name)
            try:
                time.sleep(stopped)
            finally:
                self.cluster.go_on(name)
            time.sleep(running)
            pulses += 1
        self.whole("cassandra")
        return f"stopped {pulses} times"

    def partition(self, _):
        wanted = self.sending.partitions + 1
        self.cluster.widen(of.TOPIC, wanted, WHOLE)
        self.watch.partitions = wanted
        self.sending.spread(wanted)
        return f"{wanted} now"

    def cut_broker(self, fault):
        self.cut(fault, "kafka")

    def cut_store(self, fault):
        self.cut(fault, "cassandra")

    def cut(self, fault, kind):
        one, other = fault.targets
        ways = [(one, other)] if fault.one_way else [(one, other), (other, one)]
        for way in ways:
            self.network.cut(*way)
        self.hold(fault)
        for way in ways:
            self.network.heal(*way)
        self.whole(kind)
