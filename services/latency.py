"""How long a reading takes from the topic to a row that can be read: appends readings that are three hours old, of which nobody
else sends any, so many a second whatever comes of them, and looks all the time how many the row of their hour counts.

  latency.py KAFKA TOPIC sqlite FILE SECONDS A_SECOND
  latency.py KAFKA TOPIC cassandra HOST:PORT KEYSPACE SECONDS A_SECOND

Prints one line: how many, and the 50th and 99th percentile and the longest, in ms from the broker's acknowledgement on.
"""
import json
import sqlite3
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

from confluent_kafka import Producer

AT = datetime.now(timezone.utc) - timedelta(hours=3)
COUNT = f"""SELECT count FROM rows_by_key WHERE "view" = 'region' AND width = '1h' AND metric = 'temperature' AND tenant = ''
AND "key" = '11' AND year = {AT.year} AND window_start = '{AT:%Y-%m-%dT%H}:00:00Z'"""


def sqlite_counter(path):
    store = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    return lambda: (store.execute(COUNT).fetchone() or [0])[0]


def cassandra_counter(node, keyspace):
    from cassandra.cluster import Cluster
    host, port = node.rsplit(":", 1)
    session = Cluster([host], port=int(port)).connect(keyspace)
    return lambda: (session.execute(COUNT).one() or [0])[0]


def main():
    kafka, topic, kind = sys.argv[1:4]
    where, (seconds, a_second) = sys.argv[4:-2], map(float, sys.argv[-2:])
    count = sqlite_counter(*where) if kind == "sqlite" else cassandra_counter(*where)
    appended, total = [], int(seconds * a_second)
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 0, "enable.idempotence": True})
    base = count()

    def delivered(error, _):
        assert error is None, error
        appended.append(time.monotonic())

    def append():
        begun = time.monotonic()
        for number in range(total):
            # Open loop: the next one is due when it is due.
            while (left := begun + number / a_second - time.monotonic()) > 0:
                producer.poll(min(left, 0.002))
            at = AT.strftime("%Y-%m-%d %H:%M:%S")
            reading = {"id": "latency", "timestamp": at, "lat": 48.86, "lon": 2.35, "temperature": 20.5, "country": "France"}
            producer.produce(topic, json.dumps(reading), key="latency", on_delivery=delivered)
            producer.poll(0)
        producer.flush(30)

    sender = threading.Thread(target=append)
    sender.start()
    seen, deadline = [], time.monotonic() + seconds + 60
    while len(seen) < total:
        assert time.monotonic() < deadline, f"{len(seen)} of {total} can be read"
        known, now = count() - base, time.monotonic()
        seen.extend([now] * (known - len(seen)))
        time.sleep(0.002)
    sender.join()
    # One key, one partition: the first that are counted are the first that were appended.
    took = sorted((to - since) * 1e3 for since, to in zip(appended, seen))
    at = lambda share: took[min(len(took) - 1, int(share * len(took)))]
    print(f"{len(took)} readings: p50 {at(0.5):.0f} ms  p99 {at(0.99):.0f} ms  longest {took[-1]:.0f} ms")


main()
