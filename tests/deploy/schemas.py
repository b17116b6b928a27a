"""Kubernetes' schemas, strict, as kubeconform reads them from a directory: schemas.py VERSION DIRECTORY.

They come with PyPI's kubernetes-validate, whose $id and $ref are addresses; here they are files beside each other.
"""
import json
import pathlib
import sys

import kubernetes_validate

version, directory = sys.argv[1], pathlib.Path(sys.argv[2])
source = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{version}-local-strict"
if not source.is_dir():
    sys.exit(f"kubernetes-validate knows no Kubernetes {version}")
directory.mkdir(parents=True)
for file in source.glob("*.json"):
    text = file.read_text().replace('"/api/_definitions.json#', f'"{(directory / "_definitions.json").as_uri()}#')
    schema = json.loads(text)
    schema.pop("$id", None)
    (directory / file.name).write_text(json.dumps(schema))
