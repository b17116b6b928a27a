"""What runs during a soak: the servers of services/servers.sh, two engines, the sensors; and what can be seen of them."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path[:0] = [os.path.join(ROOT, "tests", "it", "scripts")]

import servers
from confluent_kafka import Consumer, TopicPartition

NAMES = ("engine-1", "engine-2")
TOPIC = KEYSPACE = GROUP = "temperatures"
PARTITIONS = 6
# The topic is cut long before the disk is full: an hour at full rate is more than it holds.
KEPT = {"retention.bytes": 512 << 20, "segment.bytes": 64 << 20, "file.delete.delay.ms": 1000}


class Stand:
    def __init__(self, binary, directory):
        self.binary, self.directory = binary, directory
        self.engines, self.logs, self.last = {}, 0, {}
        self.sending, self.started = None, False
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ETIAGE_")}

    def script(self, name, *arguments):
        environment = {**os.environ, "KAFKA_PORT": "free", "CASSANDRA_PORT": "free"}
        done = subprocess.run(
            [os.path.join(ROOT, "services", name), *arguments],
            capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name} {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def begin(self):
        self.started = True
        self.script("servers.sh", "start", self.directory)
        self.kafka = self.script("kafka.sh", "address", os.path.join(self.directory, "kafka"))
        self.cassandra = self.script("cassandra.sh", "address", os.path.join(self.directory, "cassandra"))
        self.environment |= {
            "ETIAGE_KAFKA__BOOTSTRAP_SERVERS": self.kafka,
            "ETIAGE_KAFKA__GROUP_ID": GROUP,
            "ETIAGE_KAFKA__SESSION_TIMEOUT_MS": "6000",
            "ETIAGE_KAFKA__HEARTBEAT_INTERVAL_MS": "1000",
            "ETIAGE_STORE__NODES": json.dumps([self.cassandra]),
            "ETIAGE_STORE__KEYSPACE": KEYSPACE,
            "ETIAGE_STORE__COMMIT_LAG": "2s",  # twice the commit log's sync period, services/cassandra.sh
            "ETIAGE_LOG__FORMAT": "json",
        }
        self.run_command("migrate", "--partitions", str(PARTITIONS))
        kept = ",".join(f"{name}={value}" for name, value in KEPT.items())
        self.script(
            "kafka.sh", "tool", "kafka.admin.ConfigCommand", "--bootstrap-server", self.kafka, "--alter",
            "--entity-type", "topics", "--entity-name", TOPIC, "--add-config", kept,
        )
        self.client = Consumer({"bootstrap.servers": self.kafka, "group.id": "soak", "enable.auto.commit": False, "log_level": 0})
        self.ports = {name: free_port() for name in NAMES}
        for name in NAMES:
            self.start(name)

    # ---- life and death

    def command(self, command, *arguments):
        return [self.binary, command, "--config", os.path.join(ROOT, "examples", "temperatures", "etiage.toml"), *arguments]

    def run_command(self, command, *arguments):
        run = self.command(command, *arguments)
        done = subprocess.run(run, env=self.environment, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"etiage {command} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def spawn(self, name, command, environment):
        self.logs += 1
        with open(os.path.join(self.directory, f"{name}.{self.logs:03d}.log"), "wb") as log:
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def start(self, name):
        environment = {**self.environment, "ETIAGE_SERVE__LISTEN": f"127.0.0.1:{self.ports[name]}"}
        self.engines[name] = self.spawn(name, self.command("run"), environment)

    def send(self, *arguments):
        command = [self.binary, "simulate", "--topic", TOPIC, "--brokers", self.kafka, "--sensors", "20000", *arguments]
        self.sending = self.spawn("sensors", command, self.environment)
        return self.sending

    def kill(self, name):
        self.engines[name].kill()
        self.engines[name].wait()

    def term(self, name):
        self.engines[name].terminate()
        try:
            return self.engines[name].wait(60)
        except subprocess.TimeoutExpired:
            return "nothing after 60 s"

    def signal(self, name, number):
        if name in self.engines:
            self.engines[name].send_signal(number)
            return
        with open(os.path.join(self.directory, name, "pid"), encoding="ascii") as file:
            os.kill(int(file.read()), number)

    def revive(self):
        """Starts again whoever has ended by itself, and says so."""
        dead = [name for name, process in self.engines.items() if process.poll() is not None]
        said = [f"{name} has ended by itself ({self.engines[name].returncode})" for name in dead]
        for name in dead:
            self.start(name)
        return said

    def end(self):
        for process in [*self.engines.values(), *([self.sending] if self.sending else [])]:
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.started:
            for name in ("kafka", "cassandra"):
                try:
                    self.signal(name, signal.SIGCONT)
                except (OSError, ValueError):
                    pass
            self.script("servers.sh", "stop", self.directory)

    # ---- what can be seen

    def metrics(self, name):
        """[(metric with its labels, value)]; empty where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return []
        return [(line.rsplit(" ", 1)[0], float(line.rsplit(" ", 1)[1])) for line in lines if line and not line.startswith("#")]

    def folded(self):
        return sum(
            value for name in NAMES for metric, value in self.metrics(name)
            if metric.startswith("etiage_readings_total{") and 'outcome="folded"' in metric
        )

    def sample(self, name):
        """{what: number} of one engine."""
        process = f"/proc/{self.engines[name].pid}"
        with open(f"{process}/status", encoding="ascii") as file:
            status = dict(line.split(":", 1) for line in file)
        links = [link(os.path.join(process, "fd", number)) for number in os.listdir(f"{process}/fd")]
        metrics = self.metrics(name)

        def total(metric, label=""):
            return sum(value for known, value in metrics if known.split("{")[0] == metric and label in known)

        return {
            "memory": int(status["VmRSS"].split()[0]) / 1024,
            "threads": int(status["Threads"]),
            "connections": sum(one.startswith("socket:") for one in links),
            "files": len(links),
            "queue": total("etiage_queue_bytes") / (1 << 20),
            "parts": total("etiage_parts_bytes") / (1 << 20),
            "lag": total("etiage_lag_records", 'kind="folded"'),
        }

    def ends(self):
        return {p: self.client.get_watermark_offsets(TopicPartition(TOPIC, p), 10)[1] for p in range(PARTITIONS)}

    def sent(self):
        """Records that the topic has had: one reading each."""
        return sum(self.ends().values())

    def status(self):
        return json.loads(self.run_command("status", "--json"))

    def behind(self):
        """Records that are not committed yet."""
        committed = {line["partition"]: line["committed"] for line in self.status()["partitions"]}
        return sum(end - (committed.get(p) or 0) for p, end in self.ends().items())

    def tally(self):
        status = self.status()
        views = [view for line in status["partitions"] for view in line["views"]]
        total = {kind: sum(view[kind] for view in views) for kind in ("seen", "folded")}
        return {**total, "missing": sum(sum(view["missing"]) for view in views), "adds_up": status["adds_up"]}

    def counted(self):
        rows = servers.Rows(self.cassandra, KEYSPACE)
        try:
            return sum(row["count"] for row in rows.table("rows_by_key").values())
        finally:
            rows.close()


def link(path):
    try:
        return os.readlink(path)
    except OSError:  # closed meanwhile
        return ""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
