"""The report of a run: a text file for people; its first lines, `name: value`, are fit for scripts too."""
import platform
import re
import subprocess
from datetime import datetime, timezone

import measure
from cluster import ROOT


def versions(binary):
    def said(*command):
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        return done.stdout.strip() or "unknown"

    def jar(kind, artifact):
        with open(f"{ROOT}/services/{kind}/pom.xml", encoding="utf-8") as file:
            return re.search(rf"<artifactId>{artifact}</artifactId><version>([^<]*)<", file.read()).group(1)

    changed = "" if said("git", "status", "--porcelain", "-uno") == "unknown" else " with changes"
    return {
        "engine": said(binary, "--version"),
        "commit": said("git", "rev-parse", "--short", "HEAD") + changed,
        "servers": f"Kafka {jar('kafka', 'kafka_2.13')}, Cassandra {jar('cassandra', 'cassandra-all')}; 3 of each",
        "machine": f"{platform.system()} {platform.release()}, {platform.machine()}, {platform.python_implementation()} {platform.python_version()}",
    }


def clock(at):
    return datetime.fromtimestamp(at, timezone.utc).strftime("%H:%M:%S.%f")[:-5]


def alone(one):
    return ", alone" if one.fault.lane == "alone" else ""


def seconds(value):
    return "never" if value is None else f"{value:.1f} s"


class Report:
    def __init__(self, path, head):
        self.path, self.lines = path, [f"{name}: {value}" for name, value in head.items()]

    def add(self, *lines):
        self.lines += lines

    def verdict(self, verdict, problems):
        self.add(f"readings: {verdict.readings} in {verdict.records} records", f"rows: {verdict.rows}")
        self.add("tallies: " + ", ".join(f"{count} {kind}" for kind, count in verdict.tallies.items()))
        self.add(f"differences: {len(verdict.differences)}", f"problems: {len(problems)}")

    def measured(self, faults, watch, engines, rate, began, ended):
        samples = watch.samples
        self.add(f"logs that were said to be truncated, were asked again, and were not: {engines.asked_again}")
        longest, at = measure.longest_without_progress(samples, began, ended)
        self.add(f"longest time without progress: {longest:.1f} s from {at - began:.1f} s on (no partition's commit advanced)")
        longest, at, partition = measure.longest_of_a_partition(samples, began, ended)
        self.add(f"longest time without progress of one partition: {longest:.1f} s from {at - began:.1f} s on (partition {partition})")
        recovered = [(one, measure.recovery(samples, one.healed) if one.healed else None) for one in faults.happened]
        known = sorted(value for _, value in recovered if value is not None)
        if known:
            middle = known[len(known) // 2]
            self.add(f"recovery: median {middle:.1f} s, longest {known[-1]:.1f} s (from healed to all committed that the log held then)")
        for one, lag in measure.rolling_lags(faults.happened, samples, rate):
            self.add(f"rolling restart at {one.began - began:.1f} s{alone(one)}: folded lag at most {lag:.1f} s of input")
        for one, reassigned, resumed in measure.resumptions(faults.happened, engines.events, samples):
            self.add(
                f"kill -9 of {one.fault.targets[0]} at {one.began - began:.1f} s{alone(one)}: partitions given to others after "
                f"{reassigned:.1f} s, folded on {seconds(resumed)} later"
            )
        self.add("", "faults: when, what, how long it was there, how long until all was committed that the log held then")
        for one, value in recovered:
            lasted = "not healed" if one.healed is None else f"{one.healed - one.began:6.1f} s"
            note = f"  ({one.note})" if one.note else ""
            self.add(f"  {clock(one.began)}  {one.began - began:7.1f} s  {one.fault.shown():32} {lasted:>10}  {seconds(value):>8}{note}")

    def listed(self, title, texts, most=100):
        if texts:
            self.add("", f"{title}:", *(f"  {text}" for text in texts[:most]))
            if len(texts) > most:
                self.add(f"  … and {len(texts) - most} more")

    def write(self):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("\n".join(self.lines) + "\n")
