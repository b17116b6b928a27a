"""`make soak`: one broker, one store node, two engines, sensors at half of the rate that all of it can do, for an hour.

engine-1 is left alone and watched; engine-2 is killed, stopped and restarted now and then, and both servers stand still for a
while. Then everything must be committed, the tallies must add up to the topic, and the rows to the tallies. The report is a
page of curves; the last line on the standard output says which of them were flat.
"""
import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time

import curves
from stand import NAMES, Stand

EVERY = 5  # seconds between two samples
FINDING = 20  # seconds in which the greatest rate is measured
# What is done, in turn, evenly spread: (what, to whom, seconds).
FAULTS = [
    ("kill", "engine-2", 0),
    ("pause", "cassandra", 4),
    ("restart", "engine-2", 0),
    ("pause", "kafka", 4),
    ("pause", "engine-2", 15),
]
APART = 90  # seconds between two of them, at the least
CATCH_UP = 180


class Soak:
    def __init__(self, options, directory):
        self.options, self.problems, self.faults = options, [], []
        self.stand = Stand(options.binary, directory)
        self.samples = []

    def say(self, text):
        print(f"soak: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def greatest_rate(self):
        """Readings a second that two engines fold while the sensors send as fast as they can, all on this machine."""
        sending = self.stand.send("--readings", "1000000000")
        time.sleep(FINDING / 2)
        begun, before = time.time(), self.stand.folded()
        time.sleep(FINDING)
        rate = (self.stand.folded() - before) / (time.time() - begun)
        sending.kill()
        sending.wait()
        self.await_committed()
        return rate

    def await_committed(self):
        deadline = time.time() + CATCH_UP
        while self.stand.behind() > 0:
            if time.time() > deadline:
                self.problems.append(f"after {CATCH_UP} s the engines are {self.stand.behind()} records behind")
                return
            time.sleep(1)

    def run(self):
        rate = self.options.rate or int(self.greatest_rate() / 2)
        self.say(f"{rate} readings a second for {self.options.minutes} minutes")
        sending = self.stand.send("--rate", str(rate), "--late", "0.001", "--duplicates", "0.001", "--garbage", "0.0001")
        begun, seconds = time.time(), self.options.minutes * 60
        due = [begun + seconds * at / 20 for at in range(2, 19)]
        due = [at for number, at in enumerate(due) if number == 0 or seconds / 20 >= APART or number % 2 == 0]
        turn = 0
        while time.time() < begun + seconds:
            self.samples.append((time.time() - begun, self.stand.sample(NAMES[0])))
            if due and time.time() >= due[0]:
                due.pop(0)
                self.break_something(*FAULTS[turn % len(FAULTS)], begun)
                turn += 1
            if sending.poll() is not None:
                self.problems.append(f"the sensors ended by themselves ({sending.returncode})")
                break
            self.problems += self.stand.revive()
            time.sleep(EVERY)
        sending.send_signal(signal.SIGINT)
        sending.wait(60)
        return rate

    def break_something(self, what, whom, seconds, begun):
        self.say(f"{what} {whom}" + (f" ({seconds} s)" if seconds else ""))
        self.faults.append((time.time() - begun, f"{what} {whom}"))
        if what == "pause":
            self.stand.signal(whom, signal.SIGSTOP)
            time.sleep(seconds)
            self.stand.signal(whom, signal.SIGCONT)
        elif what == "kill":
            self.stand.kill(whom)
            time.sleep(1)
            self.stand.start(whom)
        else:
            self.stop(whom)
            self.stand.start(whom)

    def stop(self, name):
        status = self.stand.term(name)
        if status != 0:
            self.problems.append(f"SIGTERM of {name} ended in {status}")

    def judge(self):
        """What does not add up: topic and tallies, tallies and rows."""
        self.await_committed()
        for name in NAMES:
            self.stop(name)
        sent, tally, counted = self.stand.sent(), self.stand.tally(), self.stand.counted()
        differences = []
        if tally["seen"] != sent:
            differences.append(f"the topic holds {sent} readings, and {tally['seen']} were seen")
        if not tally["adds_up"]:
            differences.append("etiage status says that the tallies do not add up")
        if counted != tally["folded"] - tally["missing"]:
            differences.append(f"the rows count {counted} values, and {tally['folded']} readings were folded, {tally['missing']} without one")
        return sent, differences


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="the engine")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=int, help="readings a second; half of the greatest by default")
    parser.add_argument("--report", required=True, help="the page to write")
    return parser.parse_args()


def main():
    given = options()
    directory = tempfile.mkdtemp(prefix="etiage-soak.")
    soak, rate, sent, differences = Soak(given, directory), 0, 0, []
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        soak.stand.begin()
        rate = soak.run()
        sent, differences = soak.judge()
    except KeyboardInterrupt:
        soak.problems.append("interrupted")
    finally:
        verdicts = curves.write(given.report, soak.samples, soak.faults, rate, given.minutes)
        soak.stand.end()
        keep = bool(soak.problems or differences)
        soak.say(f"report: {given.report}")
        soak.say(f"kept: {directory}") if keep else shutil.rmtree(directory, ignore_errors=True)
    for text in soak.problems + differences:
        soak.say(f"PROBLEM: {text}")
    said = " ".join(f"{name}={verdict}" for name, verdict in verdicts.items())
    print(f"soak minutes={given.minutes:g} rate={rate} readings={sent} faults={len(soak.faults)} {said} differences={len(differences)}")
    sys.exit(0 if not keep and sent > 0 and set(verdicts.values()) == {"flat"} else 1)


if __name__ == "__main__":
    main()
