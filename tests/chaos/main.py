"""`make chaos`: real brokers, real store nodes, real engines, sensors, faults drawn from a seed; then every row against a recount.

The last line on the standard output is `chaos seed=S faults=F readings=R rows=N differences=D`; all else goes to the
standard error and into the report. The exit status is zero only where nothing differs, nobody died by itself
and nothing got stuck.
"""
import argparse
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time

import report as reports
import schedule as schedules
import verdict as verdicts
from cluster import Cluster
from engines import NAMES, Engines
from faults import Faults
from network import Network
from sending import Sending
from watch import Watch

PARTITIONS = 6
# Seconds that a partition may be behind without a commit of it; longer is stuck. More than the five minutes that a group
# waits for a member that does not rejoin.
PATIENCE = 420
CATCH_UP = 420  # seconds until everything is committed, once nothing is broken any more
LAST_RUN = 240


class Interrupted(Exception):
    pass


class Chaos:
    def __init__(self, options):
        self.options, self.problems = options, []
        self.directory = tempfile.mkdtemp(prefix="etiage-chaos.", dir=options.directory)
        self.network = self.cluster = self.engines = self.sending = self.watch = self.faults = None
        self.verdict, self.begun, self.ended = verdicts.Verdict(), None, None

    def say(self, text):
        print(f"chaos: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def problem(self, text):
        self.say(f"PROBLEM: {text}")
        self.problems.append(text)

    # ---- the run

    def prepare(self):
        self.network = self.namespaces()
        self.cluster = Cluster(os.path.join(self.directory, "servers"), self.network)
        begun = time.time()
        self.cluster.start()
        self.say(f"servers started in {time.time() - begun:.0f} s: {self.cluster.kafka} and {self.cluster.cassandra}")
        self.engines = Engines(self.options.binary, self.directory, self.cluster, self.network)
        self.engines.choose_ports(free_port)
        self.engines.ask("migrate", "--partitions", str(PARTITIONS), "--replication", "3")

    def namespaces(self):
        if self.options.no_links:
            return None
        try:
            return Network()
        except OSError as error:
            self.say(f"NO LINKS ARE CUT: network namespaces cannot be made here ({error}); other faults are drawn instead")
            return None

    def run(self):
        schedule = schedules.draw(self.options.seed, self.options.seconds, bool(self.network))
        self.sending = Sending(self.cluster, self.directory, self.options.rate, self.options.seed, PARTITIONS)
        for name in NAMES:
            self.engines.start(name)
        self.watch = Watch(self.cluster, self.engines, PARTITIONS, PATIENCE, self.stuck)
        self.faults = Faults(self.cluster, self.engines, self.network, self.sending, self.watch, self.say)
        self.begun = time.time()
        self.watch.start()
        self.say(f"{len(schedule)} faults drawn for {self.options.seconds} s, seed {self.options.seed}")
        self.faults.run(schedule, self.begun)
        if not self.faults.abandoned.is_set():
            self.faults.run_alone(schedules.draw_alone(self.options.seed, self.options.seconds), self.begun)
        for failure in self.faults.failures:
            self.problem(failure)
        while time.time() < self.begun + self.options.seconds and not self.faults.abandoned.is_set():
            time.sleep(0.2)
        self.ended = time.time()

    def stuck(self, text):
        self.problem(f"stuck: {text}")
        self.faults.abandoned.set()

    def settle(self):
        """Everything whole, everything sent, everything committed; then the engines leave."""
        for kind in ("kafka", "cassandra"):
            lack = self.cluster.whole(kind, 120)
            if lack:
                self.problem(f"{kind} is not whole at the end: {lack}")
        said = self.sending.end()
        self.say(said)
        if "failed" in said:
            self.problem(said)
        behind = self.watch.wait_committed(CATCH_UP)
        if behind:
            self.problem(f"stuck: {CATCH_UP} s after the last fault these partitions are behind (committed, end): {behind}")
        for name in NAMES:
            self.engines.term(name)
        self.watch.ended.set()
        self.watch.join()
        self.problems += self.engines.problems

    def judge(self):
        self.run_until_end()
        kafka, cassandra = self.cluster.kafka, self.cluster.cassandra.split(",")[0]
        self.say("recounting the topic")
        self.verdict = verdicts.judge(kafka, cassandra, self.engines.ask("status", "--json"))
        before = verdicts.cells(cassandra)
        self.run_until_end()
        after = verdicts.cells(cassandra)
        changed = [place for place in before.keys() | after.keys() if before.get(place) != after.get(place)]
        self.verdict.differences += [f"a run without new readings changed {place}" for place in changed]

    def run_until_end(self):
        name = NAMES[0]
        self.engines.start(name, "--until-end")
        self.engines.wanted.discard(name)
        try:
            status = self.engines.running[name].wait(LAST_RUN)
        except Exception:
            status = f"nothing after {LAST_RUN} s"
        if status != 0:
            self.problem(f"the last run ended in {status}; see {self.engines.last_log(name)}")

    # ---- what remains

    def report(self, head):
        report = reports.Report(self.options.report, head)
        report.add(f"faults: {len(self.faults.happened) if self.faults else 0}")
        report.add("links: " + ("cut, in network namespaces" if self.network else "none cut"))
        report.verdict(self.verdict, self.problems)
        if self.ended:
            report.measured(self.faults, self.watch, self.engines, self.options.rate, self.begun, self.ended)
        report.listed("problems", self.problems)
        report.listed("differences", self.verdict.differences)
        report.write()
        self.say(f"report: {self.options.report}")
        for text in (self.problems + self.verdict.differences)[:20]:
            self.say(text)

    def clear(self, keep):
        """Ends whatever was started. Nothing here may stop what comes after it."""
        steps = []
        if self.watch:
            steps.append(self.watch.ended.set)
        if self.faults:
            steps.append(self.faults.abandoned.set)
        if self.engines:
            steps.append(lambda: self.engines.kill_all())
        if self.sending:
            steps.append(self.sending.kill)
        if self.cluster:
            steps.append(self.cluster.kill_all if keep else self.cluster.wipe)
        if self.network:
            steps.append(self.network.remove)
        for step in steps:
            try:
                step()
            except Exception as error:
                self.say(f"clearing up: {error}")
        if keep:
            self.say(f"kept: {self.directory} (logs of engines and servers)")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="the engine")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--rate", type=int, default=500, help="records a second")
    parser.add_argument("--report", required=True, help="the file to write it to")
    parser.add_argument("--directory", help="where to work; the system's for temporary files by default")
    parser.add_argument("--no-links", action="store_true", help="cut no links, whether it could be done or not")
    return parser.parse_args()


def interrupt(number, _):
    raise Interrupted(signal.Signals(number).name)


def main():
    given = options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    chaos = Chaos(given)
    head = {"seed": given.seed, "seconds": given.seconds, "records a second": given.rate, **reports.versions(given.binary)}
    try:
        chaos.prepare()
        chaos.run()
        chaos.settle()
        chaos.judge()
    except Interrupted as signalled:
        chaos.problem(f"interrupted by {signalled}")
    except Exception as error:
        chaos.problem(f"{type(error).__name__}: {error}")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        try:
            chaos.report(head)
        finally:
            failed = bool(chaos.problems or chaos.verdict.differences)
            chaos.clear(keep=failed or os.environ.get("ETIAGE_TEST_KEEP") == "1")
    faults = len(chaos.faults.happened) if chaos.faults else 0
    verdict = chaos.verdict
    print(
        f"chaos seed={given.seed} faults={faults} readings={verdict.readings} rows={verdict.rows} "
        f"differences={len(verdict.differences)}",
        flush=True,
    )
    # Threads that still wait for a server do not hold the end up.
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
