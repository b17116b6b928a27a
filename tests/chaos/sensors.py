"""Sensors that send until their standard input ends: sensors.py KAFKA TOPIC RECORDS_PER_SECOND SEED PARTITIONS.

A line on the standard input is the topic's new number of partitions. Readings are those of temperatures.py, with
everything that goes wrong in the field; and some records come once more, much later. What counts is what the topic has
in the end, so a record that the brokers refuse is only told.
"""
import os
import sys
import threading
import time
from collections import deque

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "it", "scripts"))

import servers
from confluent_kafka import KafkaException
from temperatures import Sensors


class Control(threading.Thread):
    def __init__(self, writer, topic, partitions):
        super().__init__(daemon=True)
        self.writer, self.topic = writer, topic
        self.partitions, self.ended = partitions, False

    def run(self):
        for line in sys.stdin:
            self.spread(int(line))
        self.ended = True

    def spread(self, wanted):
        """The producer does not take records of partitions that it has not heard of."""
        while not self.ended:
            try:
                known = len(self.writer.list_topics(self.topic, 5).topics[self.topic].partitions)
            except KafkaException:
                known = 0
            if known >= wanted:
                self.partitions = wanted
                return
            time.sleep(0.2)


class Sender:
    def __init__(self, writer, topic):
        self.writer, self.topic, self.refused = writer, topic, 0

    def delivered(self, error, _):
        if error:
            self.refused += 1
            print(f"refused: {error}", file=sys.stderr, flush=True)

    def send(self, partition, key, payload, timestamp):
        while True:
            try:
                self.writer.produce(self.topic, payload, key, partition, timestamp=timestamp, on_delivery=self.delivered)
                return
            except BufferError:
                self.writer.poll(0.1)
            except KafkaException as error:  # a broker that has not heard of the partition yet has told the producer so
                print(f"again: {error}", file=sys.stderr, flush=True)
                self.writer.poll(0.2)


def main(kafka, topic, rate, seed, partitions):
    # Three brokers share two processors with all else: fewer, larger requests.
    writer = servers.producer(kafka, linger_ms=200)
    sensors, sender, control = Sensors(int(seed)), Sender(writer, topic), Control(writer, topic, int(partitions))
    control.start()
    print("ready", flush=True)
    begun, number, old = time.monotonic(), 0, deque(maxlen=5000)
    while not control.ended:
        record = sensors.record(number)
        if number % 97 == 96:
            record = old[number * 7919 % len(old)]  # once more, as of a gateway that got no answer
        old.append(record)
        sensor, timestamp, payload = record
        # Mostly one partition a sensor; sometimes another, as of a producer that hashes differently.
        partition = (sensor if number % 20 else number // 20) % control.partitions
        sender.send(partition, str(sensor), payload, timestamp)
        writer.poll(0)
        number += 1
        ahead = number / int(rate) - (time.monotonic() - begun)
        if ahead > 0.02:
            time.sleep(ahead)
    left = writer.flush(180)
    print(f"{number} records sent, {sender.refused} refused, {left} undelivered", flush=True)
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
