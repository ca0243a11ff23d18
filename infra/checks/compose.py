"""The compose file, against the schema of the Compose Specification that check-jsonschema carries."""

import json
from collections.abc import Iterator
from importlib.resources import files

from jsonschema import Draft202012Validator

from infra.checks.places import COMPOSE, read_yaml

SCHEMA = "builtin_schemas/vendor/compose-spec.json"


def faults() -> Iterator[str]:
    """What does not fit, and names that nothing stands for."""
    schema = json.loads((files("check_jsonschema") / SCHEMA).read_text(encoding="utf-8"))
    found = read_yaml(COMPOSE)
    for error in Draft202012Validator(schema).iter_errors(found):
        yield f"{error.json_path}: {error.message}"
    for name, service in found["services"].items():
        named = {
            "secrets": service.get("secrets", []),
            "networks": service.get("networks", []),
            "services": service.get("depends_on", []),
            "volumes": [
                volume.partition(":")[0] for volume in service.get("volumes", []) if volume[0] != "."
            ],
        }
        for kind, names in named.items():
            for missing in sorted(set(names) - set(found[kind])):
                yield f"service {name}: there is no {missing} among the {kind}"
