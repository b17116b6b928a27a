#!/usr/bin/env bash
# The Dockerfile, without a container engine: hadolint, and what we ask of it beyond that. tests/deploy/dist.sh runs what is in it.
. "$(dirname "$0")/support.sh"
if hadolint=$(checker hadolint); then
  labels=()
  for label in title description licenses version revision; do labels+=(--require-label "org.opencontainers.image.$label:text"); done
  "$hadolint" --no-color "${labels[@]}" Dockerfile
fi

python3 -B - <<'P'
import re, sys, tomllib
from pathlib import Path

text = re.sub(r"\\\n", " ", Path("Dockerfile").read_text())
lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
package = tomllib.loads(Path("Cargo.toml").read_text())["package"]
last = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
final = lines[last:]
settings = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in final}
rust = next(line.removeprefix("ARG RUST=") for line in lines if line.startswith("ARG RUST="))
number = lambda version: [int(part) for part in version.split(".")]

rules = {
    "the base has no shell": "distroless/cc-debian12:nonroot" in final[0] and "debug" not in final[0],
    "nothing runs in a stage without a shell": not any(line.startswith("RUN ") for line in final),
    "the user is a number and not root": re.fullmatch(r"[1-9]\d*:[1-9]\d*", settings.get("USER", "")),
    "the entry is the binary itself": settings.get("ENTRYPOINT") == '["/opt/etiage/bin/etiage"]',
    "every cargo build is --locked": all("--locked" in line for line in lines if "cargo build" in line)
    and any("cargo build" in line for line in lines),
    "the binary has TLS": any("cargo build" in line and "--features tls" in line for line in lines),
    "the compiler is new enough": number(rust) >= number(package["rust-version"]),
    "the version is the crate's": f"ARG VERSION={package['version']}" in final,
    "the tree is that of make dist": any("services/dist.sh tree" in line for line in lines[:last]),
    "no secret is an argument": not re.search(r"(ARG|ENV)\s+\w*(PASSWORD|SECRET|TOKEN|KEY)", text),
}
broken = [rule for rule, kept in rules.items() if not kept]

# .dockerignore takes everything out but what is named: all that exists, and nothing that holds builds or secrets.
named = [line[1:] for line in Path(".dockerignore").read_text().splitlines() if line.startswith("!")]
broken += [f".dockerignore names {name}, which is not there" for name in named if not list(Path(".").glob(name))]
broken += [f".dockerignore lets {name} in" for name in (".git", ".run", "target") if name in named]
sys.exit("\n".join(f"Dockerfile: not so: {rule}" for rule in broken) if broken else 0)
P

# What the build copies and compiles is in the context: Cargo reads its manifest there, and dist.sh finds its files.
context=$work/context
mkdir "$context"
sed -n 's/^!//p' .dockerignore | while read -r name; do cp -r $name "$context/"; done
rm -rf "$context/benches/peers"
cargo metadata --locked --offline --no-deps --format-version 1 --manifest-path "$context/Cargo.toml" >/dev/null
# All that the sources take in as they are compiled, and all that dist.sh copies, is there too.
grep -rhoE 'include_(str|bytes)!\("[^"]+"\)' --include=*.rs src | sed -E 's/.*"(.*)".*/\1/' | grep -oE '(regions|migrations)/.*|[^/]+\.(toml|rs)$' | sort -u |
  while read -r file; do [ -e "$context/$file" ] || find "$context/src" -path "*/$file" | grep -q . || die "the image's context lacks $file, which the sources take in"; done
sed -n 's/^ *cp LICENSE \(.*\) "$1\/"/LICENSE \1/p' services/dist.sh | tr ' ' '\n' |
  while read -r file; do [ -f "$context/$file" ] || die "the image's context lacks $file, which services/dist.sh copies"; done
