"""compose.py UP ALL: what we ask of the two compose configurations, resolved as JSON. Prints the engine's services with their
settings, `name<tab>KEY=value;KEY=value;`, the paths of the image turned into those of this checkout."""
import json
import re
import sys
import tomllib
from pathlib import Path


def pinned(image):
    return re.search(r":v?\d+\.\d+(\.\d+)?$", image) is not None


def pom(name, artifact):
    return re.search(rf"<artifactId>{artifact}</artifactId><version>([^<]*)<", Path(f"services/{name}/pom.xml").read_text())[1]


def problems(up, services):
    engines = [services[name] for name in ("migrate", "engine", "sensors")]
    version = tomllib.loads(Path("Cargo.toml").read_text())["package"]["version"]
    for name, service in services.items():
        if not pinned(service["image"]):
            yield f"{name}: {service['image']} is not one version"
        if service.get("privileged") or service.get("network_mode") == "host":
            yield f"{name} has the host's rights or network"
        for port in service.get("ports", []):
            if port.get("host_ip") != "127.0.0.1":
                yield f"{name}: port {port['published']} is open to others than this machine"
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and not (Path(volume["source"]).exists() and volume.get("read_only")):
                yield f"{name}: {volume['source']} is not there, or could be written"
    for service in engines:
        if service["image"] != f"etiage:{version}":
            yield f"{service['image']} is not this version, {version}"
        if not (service.get("read_only") and service["user"] == "65532:65532" and service["cap_drop"] == ["ALL"]):
            yield f"{service['container_name']} may do more than it must"
        if service["security_opt"] != ["no-new-privileges:true"] or service.get("volumes"):
            yield f"{service['container_name']} could gain rights, or has somewhere to write"
    kafka = services["kafka"]["environment"]
    address = services["engine"]["environment"]["ETIAGE_KAFKA__BOOTSTRAP_SERVERS"]
    if f"CONTAINERS://{address}" not in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","):
        yield f"Kafka does not advertise {address} to containers"
    for name, artifact in (("kafka", "kafka_2.13"), ("cassandra", "cassandra-all")):
        if services[name]["image"].rsplit(":")[-1] != pom(name, artifact):
            yield f"{name}: not the version of make up where no docker runs"
        if (services[name]["ports"], services[name]["container_name"]) != (up[name]["ports"], up[name]["container_name"]):
            yield f"{name}: not the ports and name of make up"
    text = Path("deploy/prometheus/prometheus.yaml").read_text()
    if "names: [engine]" not in text or "port: 9464" not in text or "9464" not in str(services["engine"]["ports"]):
        yield "Prometheus does not ask the engine where it listens"


def main():
    up, services = (json.loads(Path(path).read_text())["services"] for path in sys.argv[1:3])
    found = list(problems(up, services))
    if found:
        sys.exit("\n".join(f"compose: {problem}" for problem in found))
    image = dict(re.findall(r"^ENV (\S+?)=(\S+)$", Path("Dockerfile").read_text(), re.MULTILINE))
    # Those that are set alike once: asking takes seconds.
    seen = {}
    for name in ("migrate", "engine", "sensors"):
        settings = {**image, **services[name]["environment"], "ETIAGE_SERVE__LISTEN": "127.0.0.1:0"}
        settings["ETIAGE_CONFIG"] = settings["ETIAGE_CONFIG"].replace("/opt/etiage/", "")
        seen.setdefault("".join(f"{key}={value};" for key, value in settings.items()), name)
    for settings, name in seen.items():
        print(f"{name}\t{settings}")


if __name__ == "__main__":
    main()
