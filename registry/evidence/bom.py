"""The bill of materials of a shipment: CycloneDX 1.6 with machine-learning models. Pure.

Written by hand, because the CycloneDX library has no class for a model card; checked against
the schema that it brings along, in ``validate_bom``. A model is a component with every file
and its digest below it; a stack is an assembly of models; inputs are data. The shipped files
themselves are the subjects of the signed statement, so that this page does not grow with them.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from policy.errors import IntegrityFault
from policy.stacks import ModelPin, Stack

SPEC_VERSION = "1.6"
NAMESPACE = uuid.UUID("6f0d4f0c-6c1e-5e0b-9a53-2f6f2f1d7c11")  # of our serial numbers
OWN = "rightstep:"  # prefix of our properties


@dataclass(frozen=True, kw_only=True, slots=True)
class BomLicence:
    """A licence that was concluded for a model."""

    id: str  # of the catalogue
    name: str
    spdx: str | None
    url: str
    text_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BomModel:
    """A pinned model with what it is under."""

    pin: ModelPin
    licences: tuple[BomLicence, ...]
    parents: tuple[str, ...]  # repositories that it comes from


@dataclass(frozen=True, kw_only=True, slots=True)
class BomInput:
    """Something that went into a picture beside the models: a plate, a mask."""

    path: str
    sha256: str
    role: str
    rights: str


def make_bom(
    *,
    shipment_id: str,
    title: str,
    now: datetime,
    version: str,
    models: Sequence[BomModel],
    stacks: Sequence[Stack],
    inputs: Iterable[BomInput] = (),
) -> bytes:
    """The whole document as JSON; the same facts give the same bytes in any order."""
    shipment = f"shipment:{shipment_id}"
    ordered = sorted(models, key=lambda model: model.pin.pin_id)
    assembled = sorted(stacks, key=lambda stack: stack.stack_id)
    brought = sorted(set(inputs), key=lambda one: (one.sha256, one.path))
    document = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, shipment_id)}",
        "version": 1,
        "metadata": {
            "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "tools": {"components": [{"type": "application", "name": "Rightstep", "version": version}]},
            "component": {"type": "data", "bom-ref": shipment, "name": title, "version": shipment_id},
        },
        "components": [
            *(_model(model) for model in ordered),
            *(_stack(stack) for stack in assembled),
            *(_input(one) for one in brought),
        ],
        "dependencies": [
            {
                "ref": shipment,
                "dependsOn": [
                    *(f"stack:{stack.stack_id}" for stack in assembled),
                    *dict.fromkeys(f"input:{one.sha256}:{one.path}" for one in brought),
                ],
            },
            *(
                {
                    "ref": f"stack:{stack.stack_id}",
                    "dependsOn": list(dict.fromkeys(f"model:{pin.pin_id}" for pin in stack.pins)),
                }
                for stack in assembled
            ),
        ],
        "compositions": [
            {"aggregate": "complete", "assemblies": [f"stack:{stack.stack_id}" for stack in assembled]}
        ],
    }
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _model(model: BomModel) -> dict[str, Any]:
    pin = model.pin
    group, _, name = pin.repo.rpartition("/")
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{pin.pin_id}",
        "group": group,
        "name": name,
        "version": pin.revision,
        "licenses": [_licence(licence) for licence in model.licences],
        "components": [
            {
                "type": "file",
                "bom-ref": f"file:{pin.pin_id}:{file.path}",
                "name": file.path,
                "hashes": [{"alg": "SHA-256", "content": file.sha256}],
                "properties": [_property("size", file.size)],
            }
            for file in sorted(pin.files, key=lambda file: file.path)
        ],
        "modelCard": {
            "modelParameters": {
                "task": "text-to-image",
                "inputs": [{"format": "text"}],
                "outputs": [{"format": "image"}],
            },
            "properties": [_property("role", pin.role.value)],
        },
        "properties": [_property("pin_id", pin.pin_id), _property("role", pin.role.value)],
    }
    if model.parents:
        component["pedigree"] = {
            "ancestors": [{"type": "machine-learning-model", "name": parent} for parent in model.parents]
        }
    return component


def _licence(licence: BomLicence) -> dict[str, Any]:
    named = {"id": licence.spdx} if licence.spdx else {"name": licence.name}
    facts = [_property("licence", licence.id), _property("text_sha256", licence.text_sha256)]
    return {
        "license": {**named, "url": licence.url, "acknowledgement": "concluded", "properties": facts},
    }


def _stack(stack: Stack) -> dict[str, Any]:
    scales = [_property(f"scale:{pin.repo}", pin.scale) for pin in stack.adapters]
    return {
        "type": "machine-learning-model",
        "bom-ref": f"stack:{stack.stack_id}",
        "name": stack.name,
        "version": stack.stack_id,
        "modelCard": {"modelParameters": {"task": "text-to-image", "modelArchitecture": stack.pipeline}},
        "properties": [_property("stack_id", stack.stack_id), _property("dtype", stack.dtype), *scales],
    }


def _input(one: BomInput) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": f"input:{one.sha256}:{one.path}",
        "name": one.path,
        "hashes": [{"alg": "SHA-256", "content": one.sha256}],
        "properties": [_property("role", one.role), _property("rights", one.rights)],
    }


def _property(name: str, value: object) -> dict[str, str]:
    return {"name": f"{OWN}{name}", "value": str(value)}


def validate_bom(document: bytes) -> None:
    """Check a document against the schema that the CycloneDX library brings; else IntegrityFault."""
    fault = _validator().validate_str(document.decode())
    if fault is not None:
        raise IntegrityFault(
            f"The bill of materials does not fit CycloneDX {SPEC_VERSION}: {fault}",
            "Nothing was shipped; report this.",
        )


def _is_iri_reference(value: object) -> bool:
    """No character that RFC 3987 leaves out, and a host that can be read; a text alone has a format."""
    if not isinstance(value, str):
        return True
    try:
        urlsplit(value)
    except ValueError:
        return False
    return value.isprintable() and not set(value) & set(' <>"{}|\\^`')


@cache
def _validator() -> Any:
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - a second of imports, for a shipment alone
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415
    from jsonschema import Draft7Validator  # noqa: PLC0415

    Draft7Validator.FORMAT_CHECKER.checks("iri-reference")(_is_iri_reference)
    return JsonStrictValidator(SchemaVersion.V1_6)
