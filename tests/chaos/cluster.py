"""The servers: started, killed and brought back by services/cluster.sh; stopped and let go on by their process ids."""
import os
import signal
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path[:0] = [os.path.join(ROOT, "services"), os.path.join(ROOT, "tests", "it", "scripts")]

import ready

SERVERS = [f"{kind}-{number}" for kind in ("kafka", "cassandra") for number in (1, 2, 3)]


class Cluster:
    def __init__(self, directory, network):
        self.directory, self.network = directory, network
        self.environment = dict(os.environ)
        if network:
            self.environment["CLUSTER_NET"] = f"{network.prefix} {network.network}"
        self.kafka = self.cassandra = None

    def start(self):
        self.script("start")
        self.kafka, self.cassandra = self.script("kafka"), self.script("cassandra")

    def script(self, command, *arguments):
        run = [os.path.join(ROOT, "services", "cluster.sh"), command, self.directory, *arguments]
        # In a session of its own: Ctrl-C is for this process, which then ends what it started, in order.
        done = subprocess.run(
            run, capture_output=True, text=True, env=self.environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"cluster.sh {command} {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def kill(self, name):
        self.script("kill", name)

    def up(self, name):
        self.script("up", name)

    def signal(self, name, number):
        with open(os.path.join(self.directory, name, "pid"), encoding="ascii") as file:
            os.kill(int(file.read()), number)

    def pause(self, name):
        self.signal(name, signal.SIGSTOP)

    def go_on(self, name):
        self.signal(name, signal.SIGCONT)

    def whole(self, kind, seconds):
        """Waits until the brokers, or the nodes, work together again; gives what is lacking, or None."""
        ask = ready.lacking if kind == "kafka" else ready.alone
        return ready.wait(ask, self.kafka if kind == "kafka" else self.cassandra, seconds)

    def wipe(self):
        self.script("wipe")

    def widen(self, topic, partitions, seconds):
        """Adds partitions. By Kafka's own tool: a try whose answer is lost may have been done."""
        tool = [os.path.join(ROOT, "services", "kafka.sh"), "tool", "TopicCommand", "--bootstrap-server", self.kafka]
        deadline = time.monotonic() + seconds
        while True:
            alter = [*tool, "--alter", "--topic", topic, "--partitions", str(partitions)]
            done = subprocess.run(alter, capture_output=True, text=True, start_new_session=True)
            if done.returncode == 0 or f"already has {partitions} partition" in done.stdout + done.stderr:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"the topic has no {partitions} partitions after {seconds} s: {done.stdout}{done.stderr}")
            time.sleep(1)

    def kill_all(self):
        """Ends all servers and leaves their logs."""
        for name in SERVERS:
            try:
                self.kill(name)
            except RuntimeError:  # it does not run
                pass
