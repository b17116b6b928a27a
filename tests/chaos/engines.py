"""Three engine processes of one group, and what their logs say of the partitions they are given."""
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from datetime import datetime

from cluster import ROOT

NAMES = ("engine-1", "engine-2", "engine-3")
TOPIC = KEYSPACE = GROUP = "temperatures"
REJECTS, LATE = f"{TOPIC}.rejects", f"{TOPIC}.late"
# At the least twice the commit log's sync period (1 s, services/cassandra.sh). A longer lag is as safe, and six servers,
# three engines and the sensors on two processors need it: all parts must be written twice within two lags.
COMMIT_LAG = "5s"
FLUSH = "1s"  # as by default
METRICS_PORT = 19464


class Engines:
    """What runs, and what should. `events` are (time, engine, partition, position, log end) of each assignment."""

    def __init__(self, binary, directory, cluster, network):
        self.binary, self.directory, self.network = binary, directory, network
        self.lock = threading.RLock()
        self.running, self.wanted, self.stopped = {}, set(), set()
        self.starts, self.events, self.problems, self.tails = 0, [], [], {}
        self.asked_again = 0  # logs that were said to be truncated, and were not
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ETIAGE_")},
            "ETIAGE_LOG__LEVEL": "info,scylla=error,etiage::run=debug",
            # For whoever looks for a cause: say librdkafka=debug there, too.
            **{name: os.environ[name] for name in ("ETIAGE_LOG__LEVEL", "ETIAGE_KAFKA__DEBUG") if name in os.environ},
            "ETIAGE_KAFKA__BOOTSTRAP_SERVERS": cluster.kafka,
            "ETIAGE_KAFKA__GROUP_ID": GROUP,
            # Added partitions are noticed so soon, instead of within five minutes.
            "ETIAGE_KAFKA__TOPIC_METADATA_REFRESH_INTERVAL_MS": "10000",
            "ETIAGE_STREAMS__TEMPERATURES__TOPICS": json.dumps([TOPIC]),
            "ETIAGE_STORE__KIND": "cassandra",
            "ETIAGE_STORE__NODES": json.dumps(cluster.cassandra.split(",")),
            "ETIAGE_STORE__KEYSPACE": KEYSPACE,
            "ETIAGE_STORE__REPLICATION": "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}",
            "ETIAGE_STORE__COMMIT_LAG": COMMIT_LAG,
            "ETIAGE_VIEWS__REGION__FLUSH": "1s",
            "ETIAGE_REJECTS__TOPIC": REJECTS,
            "ETIAGE_REJECTS__LATE_TOPIC": LATE,
            "ETIAGE_VIEWS__REGION__FLUSH": FLUSH,
            "ETIAGE_LOG__FORMAT": "json",
        }

    def command(self, command, *arguments):
        config = os.path.join(ROOT, "tests", "it", "support", "temperatures.toml")
        return [self.binary, command, "--config", config, *arguments]

    def ask(self, command, *arguments, seconds=120):
        """Runs another command of the binary to its end and gives its output."""
        done = subprocess.run(
            self.command(command, *arguments), env=self.environment, capture_output=True, text=True, timeout=seconds
        )
        if done.returncode != 0:
            raise RuntimeError(f"etiage {command} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    # ---- life and death

    def listen(self, name):
        host = self.network.address(name) if self.network else "127.0.0.1"
        return f"{host}:{METRICS_PORT if self.network else self.ports[name]}"

    def choose_ports(self, free):
        self.ports = {name: free() for name in NAMES}

    def start(self, name, *arguments):
        with self.lock:
            self.starts += 1
            log = os.path.join(self.directory, f"{name}.{self.starts:03d}.log")
            prefix = self.network.enter(name) if self.network else []
            environment = {**self.environment, "ETIAGE_SERVE__LISTEN": self.listen(name)}
            with open(log, "wb") as file:
                self.running[name] = subprocess.Popen(
                    prefix + self.command("run", *arguments),
                    env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
                )
            self.tails[log] = (name, 0)
            self.wanted.add(name)

    def kill(self, name):
        with self.lock:
            self.wanted.discard(name)
            self.stopped.discard(name)
            self.running[name].kill()
            self.running[name].wait()

    def term(self, name, seconds=60):
        """SIGTERM: it must leave by itself, without an error. Gives the seconds that it took."""
        with self.lock:
            self.wanted.discard(name)
            process, begun = self.running[name], time.time()
            process.terminate()
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = f"nothing for {seconds} s"
        if status != 0:
            self.problems.append(f"SIGTERM of {name} ended in {status}; see {self.last_log(name)}")
        return time.time() - begun

    def pause(self, name):
        with self.lock:
            self.stopped.add(name)
            self.running[name].send_signal(signal.SIGSTOP)

    def go_on(self, name):
        with self.lock:
            self.stopped.discard(name)
            self.running[name].send_signal(signal.SIGCONT)

    def revive(self):
        """Starts again whoever has died by itself: a problem of the run."""
        with self.lock:
            for name in list(self.wanted):
                status = self.running[name].poll()
                if status is not None:
                    self.problems.append(f"{name} has died by itself ({status}); see {self.last_log(name)}")
                    self.start(name)

    def kill_all(self):
        with self.lock:
            self.wanted.clear()
            for process in self.running.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def last_log(self, name):
        return max(log for log, (owner, _) in self.tails.items() if owner == name)

    # ---- what they say

    def alive(self, name):
        process = self.running.get(name)
        return process is not None and process.poll() is None

    def read_logs(self):
        """Takes up what the logs have got since the last time."""
        for log, (name, at) in list(self.tails.items()):
            with open(log, "rb") as file:
                file.seek(at)
                text = file.read()
            text = text[: text.rfind(b"\n") + 1]
            self.tails[log] = (name, at + len(text))
            for line in text.splitlines():
                if b'"assigned"' in line:
                    self.event(name, json.loads(line))
                elif b"the log is asked again" in line:
                    self.asked_again += 1

    def event(self, name, line):
        fields = line.get("fields", line)
        at = datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")).timestamp()
        partition = int(re.search(r"(\d+)$", fields["partition"]).group(1))
        self.events.append((at, name, partition, fields["position"], fields["log_end"]))

    def owners(self):
        """{partition: who was given it last}, of those that live."""
        last = {partition: name for _, name, partition, _, _ in self.events}
        return {partition: name for partition, name in last.items() if self.alive(name)}

    def given(self, name, since):
        """Whether it has been given partitions since then."""
        return any(owner == name and at >= since for at, owner, *_ in self.events)

    def folded_lags(self, name):
        """{partition: records}, as the engine's /metrics has it; nothing where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.listen(name)}/metrics", timeout=0.5) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        lags = {}
        for line in text.splitlines():
            if line.startswith("etiage_lag_records{") and 'kind="folded"' in line:
                lags[int(re.search(r'partition="(\d+)"', line).group(1))] = float(line.rsplit(" ", 1)[1])
        return lags
