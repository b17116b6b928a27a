"""What can be seen of deploy/ without running anything: the rules hold their own tests, each alert has a runbook, the
dashboard's expressions are PromQL, and both name nothing that src/telemetry/names.rs does not, and leave nothing of it out.
   alerts.py PROMTOOL SCRATCH
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/rules.yaml"
TESTS = ROOT / "deploy/prometheus/rules_test.yaml"
DASHBOARD = ROOT / "deploy/grafana/etiage.json"
RUNBOOKS = "docs/operations.md"

# A metric of the engine, with its matchers; `job:etiage_lag_records:sum` is a recorded one.
METRIC = re.compile(r"(?<![\w:])(etiage_\w+)(?![\w:])(?:\{([^}]*)\})?")
HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def require(holds, problem):
    if not holds:
        sys.exit(f"deploy: {problem}")


def exported():
    """The metrics of the engine, by what its source calls them."""
    text = (ROOT / "src/telemetry/names.rs").read_text()
    names = set(re.findall(r'"(etiage_\w+)"', text))
    require(len(names) > 10, "src/telemetry/names.rs no longer lists the metrics: this check guards nothing")
    return names


def alerts():
    """Name and text of each alert rule. (Read by its indentation: nothing beyond Python is needed.)"""
    blocks = re.split(r"\n      - alert: ", RULES.read_text())[1:]
    found = {block.split("\n")[0]: re.split(r"\n  - name: ", block)[0] for block in blocks}
    require(len(found) > 10, "the alerts in rules.yaml were not found")
    return found


def recorded():
    return re.findall(r"- record: (\S+)", RULES.read_text())


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def substituted(expression, interval="5m"):
    """An expression of the dashboard with all of its variables at `All`."""
    text = expression.replace("$__rate_interval", interval)
    text = re.sub(r"\$(job|namespace|stream)\b", ".*", text)
    require("$" not in text, f"a variable that the dashboard does not have: {expression}")
    return text


def expressions():
    """All of the dashboard, with the panel that each stands in."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]
    for note in json.loads(DASHBOARD.read_text())["annotations"]["list"]:
        yield note["name"], note["expr"], ""


def base(metric, names):
    return metric if metric in names else HISTOGRAM.sub("", metric)


def check_alerts():
    headings = re.findall(r"^#+ (.*)$", (ROOT / RUNBOOKS).read_text(), re.M)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    tests = re.split(r"\n +- (?=\{ expr|expr)", TESTS.read_text())
    for name, text in alerts().items():
        for key in ("severity: ", "summary: ", "description: ", "runbook_url: "):
            require(key in text, f"alert {name} has no {key.strip(': ')}")
        require(re.search(r"severity: (critical|warning) ", text), f"alert {name}: its severity is neither critical nor warning")
        url = f"{RUNBOOKS}#{name.lower()}"
        require(f"runbook_url: {url}\n" in text + "\n", f"alert {name}: its runbook is not {url}")
        require(name.lower() in anchors, f"{RUNBOOKS} has no section {name}")
        of = [test for test in tests if f'alertname="{name}"' in test]
        require(any("value: 1" in test for test in of), f"no test in rules_test.yaml sees {name} fire")
        require(any("exp_samples: []" in test for test in of), f"no test in rules_test.yaml sees {name} stay quiet")
    for heading in headings:
        require(not heading.startswith("Etiage") or heading in alerts(), f"{RUNBOOKS} tells of {heading}, which is no alert")


def check_dashboard(promtool, scratch):
    for panel in panels():
        title = panel["title"]
        require(panel.get("description"), f"panel {title!r} has no description")
        require(panel["fieldConfig"]["defaults"].get("unit"), f"panel {title!r} has no unit")
        for alert in re.findall(r"\bEtiage[A-Z]\w+", panel["description"]):
            require(alert in alerts(), f"panel {title!r} tells of {alert}, which is no alert")
    rules = [{"record": f"panel:{n}", "expr": substituted(e)} for n, (_, e, _) in enumerate(expressions())]
    require(len(rules) > 20, "the dashboard's expressions were not found")
    # (YAML reads JSON, and promtool reads rules alone.)
    file = Path(scratch) / "panels.yaml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    subprocess.run([promtool, "check", "rules", "--lint=none", file], check=True)


def check_names():
    names, shown = exported(), set()
    for title, expression, _ in expressions():
        for metric, _ in METRIC.findall(expression):
            shown.add(base(metric, names))
            require(base(metric, names) in names, f"panel {title!r}: the engine exports no {metric}")
    for metric, _ in METRIC.findall(re.sub(r"#.*", "", RULES.read_text())):
        require(base(metric, names) in names, f"rules.yaml: the engine exports no {metric}")
    missing = sorted(names - shown)
    require(not missing, f"no panel of the dashboard shows {', '.join(missing)}")


def main(promtool, scratch):
    subprocess.run([promtool, "check", "rules", RULES], check=True)
    subprocess.run([promtool, "test", "rules", TESTS], check=True)
    check_alerts()
    check_dashboard(promtool, scratch)
    check_names()
    print(f"deploy: {len(alerts())} alerts with runbooks and tests, {len(panels())} panels, {len(exported())} metrics")


if __name__ == "__main__":
    main(*sys.argv[1:])
