"""What no manifest of ours may do, whatever the values: policy.py MANIFESTS…

With --break, whether that would be seen: each rule is broken on purpose in manifests that keep it, and must be named.
"""
import copy
import re
import sys
import tomllib

import yaml

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}
SECRET = re.compile(r"password|secret|\.pem$|jaas|token|credential", re.IGNORECASE)
# The last flush has stop_deadline; leaving the group and ending take a few seconds more.
AFTER_DEADLINE = 2


def pods(manifests):
    return [(one, one["spec"]["template"]["spec"]) for one in manifests if one["kind"] in WORKLOADS]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def root(manifests):
    for one, pod in pods(manifests):
        context = pod.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            yield one, "runs as root, or does not say as whom"
        for container in containers(pod):
            own = container.get("securityContext", {})
            if own.get("runAsUser", 1) == 0 or own.get("runAsNonRoot", True) is not True:
                yield one, "a container runs as root"


def privileges(manifests):
    for one, pod in pods(manifests):
        if pod.get("securityContext", {}).get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield one, "no seccomp profile"
        for container in containers(pod):
            context = container.get("securityContext", {})
            if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
                yield one, "may gain privileges"
            capabilities = context.get("capabilities", {})
            if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
                yield one, "keeps capabilities"
            if context.get("readOnlyRootFilesystem") is not True:
                yield one, "may write its root file system"


def service_account(manifests):
    for one, pod in pods(manifests):
        if pod.get("automountServiceAccountToken") is not False:
            yield one, "has a token of Kubernetes' API"


def host(manifests):
    for one, pod in pods(manifests):
        if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            yield one, "is in the node's namespaces"
        if any("hostPath" in volume for volume in pod.get("volumes", [])):
            yield one, "mounts a directory of the node"
        if any("hostPort" in port for container in containers(pod) for port in container.get("ports", [])):
            yield one, "takes a port of the node"


def image(manifests):
    for one, pod in pods(manifests):
        for container in containers(pod):
            name = container["image"].split("@")[0].rsplit("/", 1)[-1]
            if ":" not in name or name.endswith(":latest"):
                yield one, f"{container['image']}: no version"


def limits(manifests):
    for one, pod in pods(manifests):
        for container in containers(pod):
            resources = container.get("resources", {})
            if any(not resources.get(kind, {}).get(what) for kind in ("requests", "limits") for what in ("cpu", "memory")):
                yield one, "no requests or limits of processor and memory"


def probes(manifests):
    for one, pod in pods(manifests):
        for container in containers(pod):
            missing = {"startupProbe", "livenessProbe", "readinessProbe"} - set(container)
            if missing and (one["kind"] != "Job" or container.get("ports")):
                yield one, f"without {', '.join(sorted(missing))}"


def told(table, path=()):
    """Texts under a key that names a secret, unless they are in a file."""
    for key, value in table.items():
        if isinstance(value, dict):
            if not (SECRET.search(key) and set(value) == {"file"}):
                yield from told(value, (*path, key))
        elif SECRET.search(key) and not key.endswith(".location") and value:
            yield ".".join((*path, key))


def secrets(manifests):
    for one in manifests:
        if one["kind"] == "Secret":
            yield one, "is a Secret: they come from elsewhere"
        if one["kind"] == "ConfigMap":
            for file in one["data"].values():
                yield from ((one, f"holds {key}") for key in told(tomllib.loads(file)))
    for one, pod in pods(manifests):
        for container in containers(pod):
            if any(SECRET.search(each["name"]) and each.get("value") for each in container.get("env", [])):
                yield one, "has a secret in its environment"


def configuration(one, pod, manifests):
    names = [volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "config"]
    files = [each["data"]["etiage.toml"] for each in manifests if each["kind"] == "ConfigMap" and each["metadata"]["name"] in names]
    return tomllib.loads(files[0]) if files else None


def grace(manifests):
    for one, pod in pods(manifests):
        config = configuration(one, pod, manifests)
        if config is None:
            yield one, "has no configuration"
        elif one["kind"] == "Deployment":
            deadline = config["engine"]["stop_deadline"]
            seconds = int(re.match(r"\d+", deadline)[0]) * {"s": 1, "m": 60}[deadline[-1]]
            if pod.get("terminationGracePeriodSeconds", 30) < seconds + AFTER_DEADLINE:
                yield one, f"is killed before its stop_deadline of {deadline} has passed"


def selects(labels, selector):
    return all(labels.get(key) == value for key, value in selector.items())


def network(manifests):
    policies = [one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"]
    for one, _ in pods(manifests):
        labels = one["spec"]["template"]["metadata"]["labels"]
        ours = [each for each in policies if selects(labels, each["podSelector"].get("matchLabels", {}))]
        if not any({"Ingress", "Egress"} <= set(each["policyTypes"]) for each in ours):
            yield one, "may talk to everybody"
    for one in manifests:
        if one["kind"] == "NetworkPolicy":
            rules = [(rule, rule.get("to")) for rule in one["spec"].get("egress", [])]
            rules += [(rule, rule.get("from")) for rule in one["spec"].get("ingress", [])]
            if any(not peers or not rule.get("ports") for rule, peers in rules):
                yield one, "a rule without peers or ports lets everything through"


def hooks(manifests):
    """What runs before an installation must not want what the installation brings."""
    early = {one["metadata"]["name"] for one in manifests if "pre-install" in one["metadata"].get("annotations", {}).get("helm.sh/hook", "")}
    for one, pod in pods(manifests):
        if one["metadata"]["name"] in early:
            if any(volume.get("configMap", {}).get("name", "") not in early for volume in pod["volumes"] if volume["name"] == "config"):
                yield one, "wants a ConfigMap that is not there yet"


RULES = [root, privileges, service_account, host, image, limits, probes, secrets, grace, network, hooks]


def judge(manifests):
    """(rule, what) of everything that breaks a rule."""
    return [(rule.__name__, f"{one['kind']} {one['metadata']['name']}: {what}") for rule in RULES for one, what in rule(manifests)]


def breaches():
    """(rule, what is broken, how), done to one workload and its container, or to everything."""
    def pod(**keys):
        return lambda one, spec, container, all: spec.update(keys)

    def context(**keys):
        return lambda one, spec, container, all: spec["securityContext"].update(keys)

    def inner(**keys):
        return lambda one, spec, container, all: container["securityContext"].update(keys)

    def own(**keys):
        return lambda one, spec, container, all: container.update(keys)

    def without(key):
        return lambda one, spec, container, all: container.pop(key, None)

    def line(text):
        def add(one, spec, container, all):
            for each in all:
                if each["kind"] == "ConfigMap":
                    each["data"]["etiage.toml"] += text
        return add

    def policy(change):
        return lambda one, spec, container, all: [change(each["spec"]) for each in all if each["kind"] == "NetworkPolicy"]

    yield "root", "runAsNonRoot", context(runAsNonRoot=False)
    yield "root", "user 0", context(runAsUser=0)
    yield "root", "container's user 0", inner(runAsUser=0)
    yield "privileges", "seccomp", context(seccompProfile={"type": "Unconfined"})
    yield "privileges", "escalation", inner(allowPrivilegeEscalation=True)
    yield "privileges", "privileged", inner(privileged=True)
    yield "privileges", "capabilities", inner(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})
    yield "privileges", "root file system", inner(readOnlyRootFilesystem=False)
    yield "privileges", "no context", without("securityContext")
    yield "service_account", "token", pod(automountServiceAccountToken=True)
    yield "host", "network", pod(hostNetwork=True)
    yield "host", "path", lambda one, spec, container, all: spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}})
    yield "host", "port", own(ports=[{"containerPort": 1, "hostPort": 1}])
    yield "image", "latest", own(image="registry.example/etiage:latest")
    yield "image", "no tag", own(image="registry.example:5000/etiage")
    yield "limits", "none", without("resources")
    yield "limits", "no memory", own(resources={"requests": {"cpu": 1, "memory": 1}, "limits": {"cpu": 1}})
    yield "probes", "readiness", lambda one, spec, container, all: (container.pop("readinessProbe", None), container.update(ports=[{}]))
    yield "secrets", "in a ConfigMap", line('\n[more]\n"sasl.password" = "hunter2"\n')
    yield "secrets", "deep in a ConfigMap", line('\n[more]\ntls = { key_password = "hunter2" }\n')
    yield "secrets", "in the environment", own(env=[{"name": "ETIAGE_STORE__PASSWORD", "value": "hunter2"}])
    yield "secrets", "a Secret", lambda one, spec, container, all: all.append({"kind": "Secret", "metadata": {"name": "x"}})
    yield "grace", "too short", pod(terminationGracePeriodSeconds=5)
    yield "grace", "no configuration", lambda one, spec, container, all: spec["volumes"].clear()
    yield "network", "everywhere", policy(lambda spec: spec["egress"].append({}))
    yield "network", "other pods", policy(lambda spec: spec.update(podSelector={"matchLabels": {"x": "y"}}))
    yield "network", "no egress rule", policy(lambda spec: spec.update(policyTypes=["Ingress"]))
    yield "hooks", "the release's ConfigMap", lambda one, spec, container, all: [
        volume.update(configMap={"name": "etiage"}) for volume in spec["volumes"] if volume["name"] == "config"]


def broken(manifests):
    """Breaks every rule in every workload that it holds for; says which breach went unseen."""
    for rule, what, breach in breaches():
        for index, (one, _) in enumerate(pods(manifests)):
            if (rule == "grace" and what == "too short" and one["kind"] != "Deployment") or (rule == "hooks" and not one["metadata"]["name"].endswith("-migrate")):
                continue
            all = copy.deepcopy(manifests)
            target, spec = pods(all)[index]
            breach(target, spec, spec["containers"][0], all)
            if rule not in {name for name, _ in judge(all)}:
                yield f"{one['kind']} {one['metadata']['name']}: {rule} ({what}) was broken and not seen"


def main(arguments):
    breaking = arguments[0] == "--break"
    problems, tried = [], 0
    for path in arguments[breaking:]:
        manifests = [one for one in yaml.safe_load_all(open(path)) if one]
        if not pods(manifests):
            problems.append(f"{path}: no workload in it")
        problems += broken(manifests) if breaking else [f"{rule}: {what}" for rule, what in judge(manifests)]
        tried += len(pods(manifests)) * len(list(breaches())) if breaking else len(RULES)
    print(*problems, f"{'up to ' if breaking else ''}{tried} {'breaches' if breaking else 'rules'} tried, {len(problems)} problems", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
