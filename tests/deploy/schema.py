"""Checks the configuration's JSON Schema itself, and the examples against it, with a complete validator."""

import json
import pathlib
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """YAML 1.2, as editors read it: dates are text, and booleans are `true` and `false` only."""


Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag != "tag:yaml.org,2002:timestamp" and (tag != "tag:yaml.org,2002:bool" or first in "tTfF")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

configs = pathlib.Path(sys.argv[1])
schema = json.loads((configs / "schema.json").read_text())
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
files = sorted(configs.glob("*.yaml"))
errors = [
    f"{file}: {error.json_path}: {error.message}"
    for file in files
    for error in validator.iter_errors(yaml.load(file.read_text(), Loader))
]
sys.exit("\n".join(errors) if errors or not files else None)
