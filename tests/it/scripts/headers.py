"""Readings whose tenant stands in a header of their record.

  headers.py KAFKA TOPIC                10 readings of "one", 5 of "two", 3 without a tenant, 2 with far too long a one
"""
import sys

import servers

VALUE = '{"at":"2024-03-01T10:00:00Z","temperature":20}'
HEADERS = (
    [[("tenant", b"other"), ("tenant", b"one")]] * 10  # the last one counts
    + [[("x", b"y"), ("tenant", "two".encode())]] * 5
    + [[], [("tenant", None)], [("tenant", b"\xff")]]
    + [[("tenant", b"x" * 100000)]] * 2
)

if __name__ == "__main__":
    kafka, topic = sys.argv[1:]
    writer = servers.producer(kafka)
    for headers in HEADERS:
        writer.produce(topic, VALUE, timestamp=1709287200000, headers=headers)
    assert writer.flush(60) == 0, "not everything was delivered"
