"""Whether `etiage check --json` has nothing against a configuration but that no server answers: accepted.py REPORT."""
import json
import sys

try:
    findings = json.load(open(sys.argv[1]))["findings"]
except (OSError, ValueError) as error:
    sys.exit(f"{sys.argv[1]}: no report: {error}")
if not any(one["about"] == "configuration" and one["level"] == "ok" for one in findings):
    sys.exit("\n".join(f"{one['about']}: {one['text']}" for one in findings))
# Both servers were asked: so their settings (certificates, mechanisms, properties) were taken by their clients.
asked = {"kafka": False, "store": False}
for one in findings:
    side = one["about"].split()[0]
    if one["level"] == "error" and side in asked and "does not answer" in one["text"]:
        asked[side] = True
    elif one["level"] == "error":
        sys.exit(f"{one['about']}: {one['text']}")
if not all(asked.values()):
    sys.exit(f"not asked: {asked}")
