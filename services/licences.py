"""licences.py TARGET: the licences of all that is compiled into the binary for TARGET, with their texts, to stdout.

Part of `make dist`. Cargo names the crates (`cargo tree`, as the resolver links them, without what only builds or tests), their
sources carry the texts, those of vendored C libraries too: librdkafka, SQLite, zstd, zlib, mimalloc. Each distinct text stands
here once. A crate without a text, under a licence that is not known here, is an error: nobody else would notice.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

TEXT = re.compile(r"^(un)?licen[cs]e|^copying|^copyright|^notice", re.IGNORECASE)
# Below a crate's directory: what is not compiled in, or says the same in another form; and of zstd's two licences the one not taken.
NOT_OURS = re.compile(r"/(contrib|zlib-ng|packaging|debian|v3|tests?|examples?|target)/|LICENSES\.txt$|zstd/COPYING$")
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
RUST = "So is the Rust standard library: MIT OR Apache-2.0 (https://github.com/rust-lang/rust/blob/main/COPYRIGHT)."
PUBLIC_DOMAIN = "libsqlite3-sys also carries SQLite itself, which is in the public domain (https://sqlite.org/copyright.html)."


def linked(target):
    """(name, version) of every crate in the binary, ours aside."""
    tree = ["cargo", "tree", "--locked", "--edges", "normal", "--features", "tls", "--target", target, "--prefix", "none", "--no-dedupe"]
    lines = subprocess.run(tree, check=True, capture_output=True, text=True).stdout.splitlines()
    return {(name, version.removeprefix("v")) for name, version, *_ in map(str.split, lines) if name != "etiage"}


def packages(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--features", "tls", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {(package["name"], package["version"]): package for package in metadata["packages"]}


def texts(package):
    """The licence files of a crate and of what it vendors: (name, text)."""
    directory = Path(package["manifest_path"]).parent
    files = sorted(file for file in directory.rglob("*") if file.is_file() and TEXT.match(file.name))
    names = [(file.relative_to(directory).as_posix(), file) for file in files]
    found = [(name, file.read_text("utf-8", "replace").strip()) for name, file in names if not NOT_OURS.search("/" + name)]
    return [(name, text) for name, text in found if len(text) > 100 and not text.startswith(("//", "#!"))]


def fallback(package):
    """For crates that ship no text. Of a choice, Apache-2.0: its text stands in our own LICENSE."""
    expression = package["license"] or ""
    authors = ", ".join(package["authors"]) or f"the authors of {package['name']}"
    if "Apache-2.0" in expression and " AND " not in expression:
        return f"Taken under Apache-2.0, whose text is Étiage's own LICENSE. Copyright (c) {authors}"
    if expression == "MIT":
        return f"MIT License\n\nCopyright (c) {authors}\n\n{MIT}".strip()
    sys.exit(f"{package['name']} {package['version']} ({expression or 'no licence'}) ships no licence text: see services/licences.py")


def main(target):
    known = packages(target)
    crates = [known[crate] for crate in sorted(linked(target))]
    users = {}
    for crate in crates:
        own = texts(crate) or [("", fallback(crate))]
        for name, text in own:
            users.setdefault(text, []).append(" ".join(filter(None, [crate["name"], crate["version"], name])))
    print(f"{len(crates)} crates are compiled into etiage for {target}; Étiage itself is under Apache-2.0.")
    print(RUST + "\n" + PUBLIC_DOMAIN + "\nOpenSSL, the C library and libgcc are linked from the system that it runs on.\n")
    for crate in crates:
        print(f"{crate['name']} {crate['version']}: {crate['license']} {crate['repository'] or ''}".rstrip())
    for text, names in users.items():
        print("\n" + "=" * 100 + "\n" + "\n".join(names) + "\n" + "-" * 100 + "\n" + text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
