"""The process of sensors.py."""
import os
import subprocess
import sys

import engines as of


class Sending:
    def __init__(self, cluster, directory, rate, seed, partitions):
        self.partitions = partitions
        self.log = os.path.join(directory, "sensors.log")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sensors.py")
        command = [sys.executable, "-B", script, cluster.kafka, of.TOPIC, str(rate), str(seed), str(partitions)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the sensors do not send; see {self.log}")

    def spread(self, partitions):
        """The topic has so many partitions now."""
        self.partitions = partitions
        self.process.stdin.write(f"{partitions}\n")
        self.process.stdin.flush()

    def alive(self):
        return self.process.poll() is None

    def end(self):
        """Waits until all is delivered; gives what the sensors say of it."""
        self.process.stdin.close()
        said = self.process.stdout.read().strip()
        status = self.process.wait(240)
        return said if status == 0 else f"the sensors failed ({status}, {said!r}); see {self.log}"

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait()
