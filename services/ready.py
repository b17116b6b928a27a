"""Waits until Kafka brokers and Cassandra nodes work together: ready.py KAFKA CASSANDRA SECONDS (addresses with commas).

Open ports are not yet a cluster. Kafka: every broker is known and every replica in sync. Cassandra: each node
coordinates a read that all others must answer.
"""
import sys
import time

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import WhiteListRoundRobinPolicy
from confluent_kafka.admin import AdminClient


def lacking(kafka):
    """What Kafka lacks, or None; raises where nothing answers."""
    brokers = kafka.split(",")
    seen = AdminClient({"bootstrap.servers": kafka, "log_level": 0}).list_topics(timeout=10)
    if len(seen.brokers) < len(brokers):
        return f"{len(seen.brokers)} of {len(brokers)} brokers are there"
    topics = seen.topics.values()
    behind = [f"{t.topic}/{p.id}" for t in topics for p in t.partitions.values() if len(p.isrs) < len(p.replicas)]
    return f"not in sync: replicas of {', '.join(sorted(behind)[:5])}" if behind else None


def alone(cassandra):
    """Which node does not reach all others, and why; or None."""
    for address in cassandra.split(","):
        host, port = address.rsplit(":", 1)
        # A node that has just come up takes seconds for its first answer on a busy machine.
        profile = ExecutionProfile(
            WhiteListRoundRobinPolicy([host]), consistency_level=ConsistencyLevel.ALL, request_timeout=10
        )
        profiles = {EXEC_PROFILE_DEFAULT: profile}
        cluster = Cluster([host], int(port), execution_profiles=profiles, protocol_version=5, connect_timeout=10)
        try:
            cluster.connect().execute("SELECT * FROM system_distributed.view_build_status LIMIT 1")
        except Exception as error:  # whatever it is: asked again
            return f"node {address}: {error}"
        finally:
            cluster.shutdown()
    return None


def wait(ask, addresses, seconds):
    """Asks until nothing is lacking, or for so long; gives the last lack, or None."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            lack = ask(addresses)
        except Exception as error:
            lack = str(error)
        if lack is None or time.monotonic() > deadline:
            return lack
        time.sleep(0.3)


if __name__ == "__main__":
    for question, where in ((lacking, sys.argv[1]), (alone, sys.argv[2])):
        answer = wait(question, where, float(sys.argv[3]))
        if answer is not None:
            sys.exit(answer)
