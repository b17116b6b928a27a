"""Topics written and dumped through confluent-kafka, rows read through cassandra-driver."""
import time
from datetime import timezone

from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT
from cassandra.policies import RoundRobinPolicy
from cassandra.query import dict_factory
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


def create_topic(kafka, topic, partitions):
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)


def producer(kafka, linger_ms=20):
    # Idempotent, so that a broker's restart neither loses nor reorders what was written.
    return Producer(
        {
            "bootstrap.servers": kafka,
            "enable.idempotence": True,
            "message.timeout.ms": 180000,
            "linger.ms": linger_ms,
            "queue.buffering.max.messages": 1000000,
        }
    )


def send(writer, topic, partition, key, value, timestamp_ms):
    def delivered(error, _):
        if error:
            raise KafkaException(error)

    while True:
        try:
            writer.produce(topic, value, key, partition, timestamp=timestamp_ms, on_delivery=delivered)
            writer.poll(0)
            return
        except BufferError:
            writer.poll(0.1)


def dump(kafka, topic):
    """Every record of the topic: {partition: [(offset, timestamp_ms, value, key)]}, in offset order."""
    reader = Consumer({"bootstrap.servers": kafka, "group.id": "recount", "enable.auto.commit": False, "isolation.level": "read_committed"})
    partitions = reader.list_topics(topic, 30).topics[topic].partitions
    assert partitions, f"the topic {topic} does not exist"
    ends = {p: reader.get_watermark_offsets(TopicPartition(topic, p), 30)[1] for p in partitions}
    records = {p: [] for p in partitions}
    left = {p for p, end in ends.items() if end > 0}
    reader.assign([TopicPartition(topic, p, 0) for p in left])
    deadline = time.monotonic() + 120
    while left:
        assert time.monotonic() < deadline, f"the dump of {topic} does not end: {left} left"
        for message in reader.consume(10000, 1.0):
            if message.error():
                raise KafkaException(message.error())
            p = message.partition()
            records[p].append((message.offset(), message.timestamp()[1], message.value(), message.key()))
            if message.offset() + 1 >= ends[p]:
                left.discard(p)
    reader.close()
    return records


def keys(kafka, topic):
    return {key.decode() for log in dump(kafka, topic).values() for _, _, _, key in log}


class Rows:
    """Reads the two public tables, by CQL."""

    def __init__(self, cassandra, keyspace):
        host, port = cassandra.rsplit(":", 1)
        # As readers should: a replica that was away may not have everything yet.
        profile = ExecutionProfile(
            RoundRobinPolicy(),
            row_factory=dict_factory,
            request_timeout=60,
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        )
        self.cluster = Cluster([host], int(port), execution_profiles={EXEC_PROFILE_DEFAULT: profile}, protocol_version=5)
        self.session = self.cluster.connect(keyspace)

    def table(self, name):
        """{(view, width, metric, tenant, key, window_start in ms): row}; rows without a count left out."""
        rows = {}
        for row in self.session.execute(f"SELECT * FROM {name}"):
            if row["count"] is None:
                continue
            start = milliseconds(row["window_start"])
            place = (row["view"], row["width"], row["metric"], row["tenant"], row["key"], start)
            assert place not in rows, f"{name} holds {place} twice"
            rows[place] = row
        return rows

    def close(self):
        self.cluster.shutdown()


def milliseconds(time_utc):
    return round(time_utc.replace(tzinfo=timezone.utc).timestamp() * 1000)
