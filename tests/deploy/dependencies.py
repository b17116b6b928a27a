"""Holds docs/dependencies.md against Cargo.toml, fuzz/Cargo.toml, the lists for Python, and the licences that crates declare."""
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

# Where else tools come from.
SOURCES = ("PyPI", "crates.io", "Maven Central", "Go modules", "Debian")


def rows(text, heading):
    """The table rows below a heading, as lists of cells."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line.startswith("|")]
    return [row for row in cells if not row[0].startswith("---") and row[0] not in ("crate", "fetched, never shipped")]


def licences(manifest):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--all-features", "--manifest-path", manifest]
    packages = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["packages"]
    return {package["name"]: package["license"] for package in packages}


def main():
    text = Path("docs/dependencies.md").read_text()
    cargo, fuzz = (tomllib.loads(Path(path).read_text()) for path in ("Cargo.toml", "fuzz/Cargo.toml"))
    shipped = set(cargo["dependencies"])
    beside = (set(cargo["dev-dependencies"]) | set(fuzz["dependencies"])) - shipped - {"etiage"}
    fetched = {
        re.split(r"[=<>]", line)[0]
        for file in ("services/requirements.txt", "services/tools.txt", "services/go.txt")
        for line in Path(file).read_text().splitlines()
        if line and not line.startswith("#")
    }
    in_binary = rows(text, "In the binary")
    other = rows(text, "In tests, benchmarks and fuzzing only")
    crates = [row for row in other if row[0] in beside or row[1] not in SOURCES]
    tools = [row for row in other if row not in crates]
    declared = licences("Cargo.toml") | licences("fuzz/Cargo.toml")

    wrong = []
    for what, named, there in [
        ("dependencies", {row[0] for row in in_binary}, shipped),
        ("dev-dependencies", {row[0] for row in crates}, beside),
        ("packages of PyPI", {row[0] for row in tools if row[1] == "PyPI"}, fetched),
    ]:
        wrong += [f"lacks {name} of the {what}" for name in sorted(there - named)]
        wrong += [f"names {name}, which is none of the {what}" for name in sorted(named - there)]
    for row in in_binary + crates:
        if len(row) != 3 or not row[2]:
            wrong.append(f"does not say why {row[0]}")
        elif row[1] != declared.get(row[0]):
            wrong.append(f"says {row[1]} of {row[0]}, which declares {declared.get(row[0])}")
    sys.exit("\n".join(f"docs/dependencies.md {problem}" for problem in wrong) if wrong else 0)


if __name__ == "__main__":
    main()
