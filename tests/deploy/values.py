"""The chart beside the engine: values.py ROOT.

Keys, defaults and versions of values.yaml, its schema, src/defaults.toml and Cargo.toml agree, and every value has its comment.
"""
import json
import pathlib
import re
import sys
import tomllib

import yaml

root = pathlib.Path(sys.argv[1])
values_text = (root / "helm/values.yaml").read_text()
values = yaml.safe_load(values_text)
schema = json.loads((root / "helm/values.schema.json").read_text())
defaults = tomllib.loads((root / "src/defaults.toml").read_text())
problems = []

# Not for a pod: the store in a file, rejects in files, streams of files. Secrets are references.
LEFT_OUT = {"store.path", "store.password", "rejects.dir", "streams.files"}
# Keys whose default differs, each with its reason beside it in values.yaml.
OTHER_DEFAULT = {"kafka.bootstrap.servers", "store.nodes", "store.replication", "serve.listen", "log.format"}
# Tables that the defaults show as comments only.
ONLY_COMMENTED = {"streams.metrics", "streams.metrics.normal"}


def flat(table, path=""):
    """Dotted keys of nested tables, with their values."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def of_schema(node, path=""):
    """Dotted keys of what a schema knows; a table of free names is one table."""
    for key, value in node.get("properties", {}).items():
        if isinstance(value.get("additionalProperties"), dict) and "properties" in value["additionalProperties"]:
            yield from of_schema(value["additionalProperties"], f"{path}{key}.")
        elif "properties" in value:
            yield from of_schema(value, f"{path}{key}.")
        elif value.get("not") != {}:
            yield f"{path}{key}"


def agree(what, one, other):
    if one != other:
        problems.append(f"{what}: {sorted(map(str, one ^ other))}")


engine = {key: value for key, value in flat(defaults) if not re.match(r"(stream|metric|view)_defaults", key)}
for name, table in (("stream_defaults", "streams"), ("metric_defaults", "streams.metrics"), ("view_defaults", "views")):
    for key, value in flat(defaults[name], f"{table}."):
        # An empty table of free names stands for itself.
        engine[key] = value
engine.pop("streams.labels", None)
known = set(of_schema(schema["properties"]["config"]))
known = {key for key in known if not key.startswith(("streams.metrics.normal.", "streams.labels"))}
known -= ONLY_COMMENTED
# Of librdkafka's properties any may stand there.
agree("keys of the schema's config and of src/defaults.toml", {key for key in known if not key.startswith("kafka.")},
      {key for key in engine if not key.startswith("kafka.")} - LEFT_OUT)

config = dict(flat(values["config"]))
for key, value in engine.items():
    if key.startswith(("streams.", "views.")) or key in LEFT_OUT:
        continue
    if key not in config:
        problems.append(f"values.yaml: config.{key} is missing")
    elif (config[key] == value) == (key in OTHER_DEFAULT):
        problems.append(f"values.yaml: config.{key} = {config[key]!r}, and the engine's default is {value!r}")
for key in set(config) - set(engine) - {"streams", "views"}:
    problems.append(f"values.yaml: config.{key} is no key of the engine")

for key, value in values.items():
    if key not in schema["properties"]:
        problems.append(f"values.schema.json: no {key}")
agree("keys of values.yaml and of the schema", set(values) | {"global"}, set(schema["properties"]))

# A comment stands above every key that is not itself a list's item or an inline table's, unless it opens a table whose keys have theirs.
lines = values_text.splitlines()
for number, line in enumerate(lines):
    key = re.match(r"( *)([A-Za-z][\w./-]*):(.*)$", line)
    if key and not lines[number - 1].lstrip().startswith("#") and not line.lstrip().startswith("-"):
        opens = key[3].strip() == "" and not lines[number + 1].lstrip().startswith("-")
        continues = lines[number - 1].startswith(key[1] + "  ") or "podSelector" in key[2]
        if not opens and not continues:
            problems.append(f"values.yaml:{number + 1}: {key[2]} has no comment")

chart = yaml.safe_load((root / "helm/Chart.yaml").read_text())
version = tomllib.loads((root / "Cargo.toml").read_text())["package"]["version"]
if chart["appVersion"] != version:
    problems.append(f"Chart.yaml: appVersion is {chart['appVersion']}, Cargo.toml's version is {version}")

print(*problems, f"{len(engine)} keys of the engine compared, {len(problems)} problems", sep="\n")
sys.exit(bool(problems))
