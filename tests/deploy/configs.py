"""Takes the configurations out of rendered manifests: configs.py MANIFESTS PREFIX writes PREFIX-NAME.toml for each."""
import sys

import yaml

manifests, prefix = sys.argv[1:]
found = 0
for one in yaml.safe_load_all(open(manifests)):
    if one and one["kind"] == "ConfigMap" and "etiage.toml" in one["data"]:
        found += 1
        with open(f"{prefix}-{one['metadata']['name']}.toml", "w") as file:
            file.write(one["data"]["etiage.toml"])
if not found:
    sys.exit(f"{manifests}: no configuration in it")
