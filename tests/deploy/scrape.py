"""A real Prometheus scrapes a real engine by deploy/prometheus/rules.yaml: the numbers are those that were fed, nothing fires
but what must, every panel of the dashboard has something to show; then the store goes away, and the engine. The rules' minutes
are seconds here, two each (MINUTE), so that a quarter of an hour can be waited for.
   scrape.py ETIAGE PROMETHEUS_DIR KAFKA SCRATCH
"""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import alerts
from alerts import ROOT, require

MINUTE = 2  # seconds
PARTITIONS = 3
TOPIC = f"scrape-{os.getpid()}"
# At first, and one in twenty more that is garbage, so that EtiageRejects must fire.
FED = 18_000
RATE = 400
# While the store is away. Many sensors, and room for few: folding must stop.
BACKLOG = 10_000
# What a machine that is starved by others may truly show, whatever the engine does.
SLOW_MACHINE = {"EtiageStoreSlow", "EtiageRowsBehind"}
CONFIG = ROOT / "examples/temperatures/etiage.toml"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stand:
    """The engine, Prometheus, and what they are made of; all of it ends with the `with`."""

    def __init__(self, etiage, tools, kafka, scratch):
        self.etiage, self.tools, self.scratch = etiage, Path(tools), Path(scratch)
        self.kafka, self.processes = kafka, []
        self.rows = self.scratch / "scrape.db"
        self.ports = {name: free_port() for name in ("etiage", "etiage-replay", "prometheus")}
        self.environment = {
            **os.environ,
            "ETIAGE_KAFKA__BOOTSTRAP_SERVERS": kafka,
            "ETIAGE_KAFKA__GROUP_ID": TOPIC,
            "ETIAGE_STREAMS__TEMPERATURES__TOPICS": f'["{TOPIC}"]',
            "ETIAGE_STREAMS__TEMPERATURES__LABELS__SENSOR": "id",
            "ETIAGE_VIEWS__REGION__GROUP_BY": '["sensor"]',
            "ETIAGE_REJECTS__TOPIC": f"{TOPIC}.rejects",
            "ETIAGE_REJECTS__LATE_TOPIC": f"{TOPIC}.late",
            "ETIAGE_STORE__KIND": "sqlite",
            "ETIAGE_STORE__PATH": str(self.rows),
            "ETIAGE_ENGINE__QUEUE": "1 MiB",
            "ETIAGE_ENGINE__PARTS": "1 MiB",
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def run(self, *arguments):
        done = subprocess.run([self.etiage, *arguments], env=self.environment, capture_output=True, text=True)
        require(done.returncode == 0, f"etiage {arguments[0]} failed:\n{done.stderr}")
        return done.stdout

    def start(self, name, *command, **more):
        log = open(self.scratch / f"{name}.log", "w")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **more)
        self.processes.append(process)
        return process

    def engine(self, command, job, *arguments):
        environment = {**self.environment, "ETIAGE_SERVE__LISTEN": f"127.0.0.1:{self.ports[job]}"}
        return self.start(job, self.etiage, command, "--config", CONFIG, *arguments, env=environment)

    def feed(self, readings, *arguments):
        sending = ["simulate", "--topic", TOPIC, "--brokers", self.kafka, "--readings", str(readings), *arguments]
        return self.start("simulate", self.etiage, *sending, env=self.environment)

    def records(self):
        """How many there are, by the logs' ends: one reading each."""
        partitions = json.loads(self.run("status", "--config", str(CONFIG), "--json"))["partitions"]
        require(len(partitions) == PARTITIONS, f"{len(partitions)} partitions, not {PARTITIONS}")
        return sum(partition["log_end"] for partition in partitions)

    def prometheus(self):
        # Their minutes shortened, and evaluated every second.
        rules = re.sub(r"\b(\d+)m\b", lambda found: f"{int(found[1]) * MINUTE}s", alerts.RULES.read_text())
        rules = re.sub(r"\b(\d+)h\b", lambda found: f"{int(found[1]) * 60 * MINUTE}s", rules)
        rules = rules.replace("interval: 30s", "interval: 1s")
        (self.scratch / "rules.yaml").write_text(rules)
        jobs = [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{self.ports[job]}"]}]}
            for job in ("etiage", "etiage-replay")
        ]
        every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config = self.scratch / "prometheus.yaml"
        config.write_text(json.dumps({"global": every, "rule_files": ["rules.yaml"], "scrape_configs": jobs}))
        self.start(
            "prometheus",
            self.tools / "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={self.scratch}/prometheus",
            f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
        )

    def ask(self, path, **parameters):
        url = f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, query):
        """Of a query of one sample; none where there is none."""
        found = self.ask("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else None

    def firing(self):
        found = self.ask("query", query='ALERTS{alertstate="firing"}')["result"]
        return {sample["metric"]["alertname"] for sample in found}

    def wait(self, what, seconds, holds):
        """Until it holds; a question that nobody answers yet is asked again."""
        end = time.monotonic() + seconds
        while True:
            try:
                if holds():
                    return
                state = ""
            except OSError as error:
                state = f" ({error})"
            if time.monotonic() > end:
                log = (self.scratch / "etiage.log").read_text().splitlines()[-15:]
                sys.exit(f"scrape: {what}: not within {seconds} s{state}; firing: {self.firing()}; the engine's log ends:\n" + "\n".join(log))
            time.sleep(0.5)


def ordinary(stand):
    """All is well, but for one reading in twenty that is garbage."""
    sending = stand.feed(FED, "--sensors", "200", "--rate", str(RATE), "--garbage", "0.05")
    stand.wait("EtiageRejects fires", 120, lambda: "EtiageRejects" in stand.firing())
    require(sending.wait() == 0, "the readings were not sent")
    check_numbers(stand)
    fired = stand.ask("query", query='count by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))')["result"]
    fired = {sample["metric"]["alertname"] for sample in fired}
    require(fired - SLOW_MACHINE == {"EtiageRejects"}, f"while one reading in twenty was garbage and nothing else amiss, there fired {fired}")


def check_numbers(stand):
    """Everything that was fed is there, under the names and labels that the rules and the dashboard use."""
    fed = stand.records()
    require(fed > FED, "the garbage is missing")
    stand.wait("all readings are counted", 60, lambda: stand.value("sum(etiage_readings_total)") == fed)
    require(stand.value('sum(up{job="etiage"})') == 1, "the target is not up")
    require(stand.value("sum(etiage_records_total)") == fed, "one reading a record: as many records")
    rejected = stand.value('sum(etiage_readings_total{outcome="rejected"})')
    require(0 < rejected == stand.value("sum(etiage_rejects_total)"), "rejects by reason are the rejected readings")
    require(stand.value("max(etiage_tallies_off)") == 0, "the tallies do not add up")
    partitions = stand.value('count(etiage_lag_records{kind="folded"})')
    require(partitions == PARTITIONS, f"lag of {partitions} partitions, not of {PARTITIONS}")
    strange = set(stand.ask("label/__name__/values")) - alerts.exported()
    strange = {name for name in strange if name.startswith("etiage_") and alerts.base(name, alerts.exported()) == name}
    require(not strange, f"src/telemetry/names.rs does not list {strange}")


def check_rules(stand):
    rules = [rule for group in stand.ask("rules")["groups"] for rule in group["rules"]]
    named = {rule["name"] for rule in rules}
    require(named == set(alerts.alerts()) | set(alerts.recorded()), "Prometheus has loaded other rules than these")
    sick = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    require(not sick, f"rules that cannot be evaluated: {sick}")


def check_labels(stand):
    """Each label, and each of its values, that the rules and the dashboard ask for has been seen on that metric."""
    seen = {}
    for metric in (name for name in stand.ask("label/__name__/values") if name.startswith("etiage_")):
        for labels in stand.ask("series", **{"match[]": metric}):
            for label, value in labels.items():
                seen.setdefault(metric, {}).setdefault(label, set()).add(value)
    texts = [alerts.substituted(expression) for _, expression, _ in alerts.expressions()]
    for metric, matchers in alerts.METRIC.findall("\n".join([re.sub(r"#.*", "", alerts.RULES.read_text()), *texts])):
        require(metric in seen, f"{metric} was never exported")
        for label, operator, values in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
            known = seen[metric].get(label, set())
            require(known or label == "namespace", f"{metric} has no label {label}")
            for value in values.split("|") if re.fullmatch(r"[\w|]+", values) else []:
                require(value in known, f"{metric}: {label} is never {value!r}, but one of {sorted(known)}")


def check_panels(stand, since):
    """Each query of the dashboard had an answer at some time of the run, with the labels that its legend names."""
    for title, expression, legend in alerts.expressions():
        query = alerts.substituted(expression, interval=f"{5 * MINUTE}s")
        found = stand.ask("query_range", query=query, start=since, end=time.time(), step=1)["result"]
        require(found, f"panel {title!r} shows nothing: {query}")
        for label in re.findall(r"\{\{(\w+)\}\}", legend):
            require(all(label in series["metric"] for series in found), f"panel {title!r}: no label {label} to name its lines by")
    for name in alerts.recorded():
        require(stand.ask("query_range", query=name, start=since, end=time.time(), step=1)["result"], f"{name} was never recorded")


def store_goes_away(stand):
    """The engine's memory fills and it reads on no further: its lag must be that to the logs' ends all the same."""
    folded_before = stand.value('sum(etiage_records_total{job="etiage"})')
    lock = sqlite3.connect(stand.rows, isolation_level=None, timeout=30)
    lock.execute("BEGIN EXCLUSIVE")
    require(stand.feed(BACKLOG, "--sensors", str(BACKLOG)).wait() == 0, "the backlog was not sent")
    stand.wait("EtiageNoProgress fires", 60, lambda: "EtiageNoProgress" in stand.firing())
    lag = stand.value('sum(etiage_lag_records{job="etiage",kind="folded"})')
    waits = BACKLOG - (stand.value('sum(etiage_records_total{job="etiage"})') - folded_before)
    require(waits > 0, "the store was away, and everything was folded: this shows nothing")
    require(lag == waits, f"the engine says that {lag} records wait; {waits} do")
    lock.execute("ROLLBACK")
    lock.close()
    caught_up = lambda: stand.value('sum(etiage_lag_records{job="etiage"})') == 0 and stand.firing() <= SLOW_MACHINE
    stand.wait("everything is folded and committed, and no alert left", 120, caught_up)
    require(stand.value("sum(etiage_store_errors_total)") > 0, "the store was away, and no request to it failed")


def replay(stand):
    """Its own job: what it lags behind is no alert."""
    replayer = stand.engine("replay", "etiage-replay", "--from", "earliest")
    stand.wait("the replay ends", 120, lambda: replayer.poll() is not None)
    require(replayer.returncode == 0, "the replay failed: " + (stand.scratch / "etiage-replay.log").read_text()[-2000:])
    require(stand.value("count(max_over_time(etiage_replay_behind_records[10m]))") == 1, "the replay told nothing of itself")


def main(etiage, tools, kafka, scratch):
    with Stand(etiage, tools, kafka, scratch) as stand:
        since = time.time()
        stand.run("migrate", "--config", str(CONFIG), "--partitions", str(PARTITIONS))
        engine = stand.engine("run", "etiage")
        stand.prometheus()
        stand.wait("the target is up", 60, lambda: stand.value('up{job="etiage"}') == 1)
        ordinary(stand)
        check_rules(stand)
        replay(stand)
        store_goes_away(stand)
        check_labels(stand)
        check_panels(stand, since)
        records = stand.records()
        engine.kill()
        gone = {"EtiageAbsent", "EtiagePartitionUnread"}
        stand.wait("the engine is missed", 60, lambda: gone <= stand.firing())
    print(f"scrape: {records} readings, {time.time() - since:.0f} s: numbers, rules, labels, panels and alerts are as they must be")


if __name__ == "__main__":
    main(*sys.argv[1:])
