"""A network namespace for each server and engine around one that routes between them: so links can be cut, one way too.

Addresses are NETWORK.11 … .13 (Kafka), .21 … .23 (Cassandra), .31 … .33 (engines); this process reaches all of them.
"""
import os
import subprocess

KINDS = {"kafka": 10, "cassandra": 20, "engine": 30}
ROUTER = 254
NAMES = [f"{kind}-{number}" for kind in KINDS for number in (1, 2, 3)]


def ip(*arguments, check=True):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Network:
    """Raises OSError where namespaces cannot be made; then nothing is left of it."""

    def __init__(self):
        self.prefix, self.cuts = f"etiage{os.getpid()}", set()
        remove_left_over()
        routes = ip("route", "show")
        free = [n for n in range(200, 256) if f" 10.213.{n}." not in " " + routes and f"10.213.{n}.0" not in routes]
        self.network = f"10.213.{free[os.getpid() % len(free)]}"
        try:
            self.make()
        except OSError:
            self.remove()
            raise

    def make(self):
        router = f"{self.prefix}-router"
        self.namespace(router)
        ip("netns", "exec", router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        for name in NAMES:
            self.namespace(f"{self.prefix}-{name}")
            self.join(f"{self.prefix}-{name}", name, self.address(name))
        # This process stays where it is, with a link of its own to the router.
        ip("link", "add", self.prefix, "type", "veth", "peer", "name", "host", "netns", router)
        ip("addr", "add", f"{self.network}.1/32", "dev", self.prefix)
        ip("link", "set", self.prefix, "up")
        ip("route", "add", f"{self.network}.0/24", "via", f"{self.network}.{ROUTER}", "dev", self.prefix, "onlink")
        self.answer("host", f"{self.network}.1")

    def namespace(self, name):
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")

    def join(self, namespace, link, address):
        ip("link", "add", "wire", "netns", namespace, "type", "veth", "peer", "name", link, "netns", f"{self.prefix}-router")
        ip("-n", namespace, "addr", "add", f"{address}/32", "dev", "wire")
        ip("-n", namespace, "link", "set", "wire", "up")
        ip("-n", namespace, "route", "add", "default", "via", f"{self.network}.{ROUTER}", "dev", "wire", "onlink")
        self.answer(link, address)

    def answer(self, link, address):
        """The router's end of a link."""
        router = f"{self.prefix}-router"
        ip("-n", router, "addr", "add", f"{self.network}.{ROUTER}/32", "dev", link)
        ip("-n", router, "link", "set", link, "up")
        ip("-n", router, "route", "add", f"{address}/32", "dev", link)

    def address(self, name):
        kind, number = name.split("-")
        return f"{self.network}.{KINDS[kind] + int(number)}"

    def enter(self, name):
        """What a command that runs there begins with; the process keeps its id."""
        return ["ip", "netns", "exec", f"{self.prefix}-{name}"]

    def cut(self, source, target):
        """From now on nothing that one sends reaches the other; nobody is told."""
        self.rule("add", source, target)
        self.cuts.add((source, target))

    def heal(self, source, target):
        self.rule("del", source, target)
        self.cuts.discard((source, target))

    def rule(self, what, source, target):
        ends = ["from", self.address(source), "to", self.address(target)]
        ip("-n", f"{self.prefix}-router", "rule", what, *ends, "blackhole")

    def heal_all(self):
        for source, target in list(self.cuts):
            self.heal(source, target)

    def remove(self):
        remove(self.prefix)


def remove(prefix):
    ip("link", "del", prefix, check=False)
    for line in ip("netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(prefix + "-"):
            ip("netns", "del", name, check=False)


def remove_left_over():
    """Of runs that were killed with -9."""
    for line in ip("netns", "list").splitlines():
        prefix = line.split()[0].split("-")[0]
        owner = prefix.removeprefix("etiage")
        if prefix.startswith("etiage") and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            remove(prefix)
