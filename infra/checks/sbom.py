"""The bill of materials of Rightstep itself: CycloneDX 1.6, of what an image installs, as it is here.

The same installation gives the same bytes: there is no time in it, and its number is drawn from
its content. Licences are what each distribution says of itself; what is inside the wheels as well
is held by tests/contract/test_wheel_licences.py.
"""

import json
import uuid
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from policy.errors import IntegrityFault
from registry.evidence.bom import NAMESPACE, SPEC_VERSION, validate_bom
from registry.pin_builtin import load_builtin_pins

PRODUCT = "rightstep"
EXTRAS = frozenset({"c2pa", "otel", "postgres", "s3"})  # as in infra/docker/Dockerfile
OLD_TAG = "License :: OSI Approved :: "


def make_sbom() -> bytes:
    """The whole document."""
    needs = _closure()
    names = sorted(needs.keys() - {PRODUCT})
    models = [_model(pin.repo, pin.revision, pin.files) for pin in load_builtin_pins()]
    document: dict[str, Any] = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {"component": _component(PRODUCT) | {"type": "application"}},
        "components": [*(_component(name) for name in names), *models],
        "dependencies": [
            {"ref": _ref(name), "dependsOn": sorted(_ref(one) for one in needs[name])}
            for name in (PRODUCT, *names)
        ],
    }
    number = uuid.uuid5(NAMESPACE, json.dumps(document, sort_keys=True))
    document["serialNumber"] = f"urn:uuid:{number}"
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def faults() -> Iterator[str]:
    """Whether it fits its schema, and says a licence of everything."""
    document = make_sbom()
    try:
        validate_bom(document)
    except IntegrityFault as fault:
        yield fault.message
    for one in json.loads(document)["components"]:
        if one["type"] == "library" and not one["licenses"]:
            yield f"{one['name']} does not say its licence"


def _closure() -> dict[str, set[str]]:
    """Distribution -> what it needs on this machine, from the product down."""
    found: dict[str, set[str]] = {}
    extras: dict[str, frozenset[str]] = {PRODUCT: EXTRAS}
    waiting = [PRODUCT]
    while waiting:
        name = waiting.pop()
        needs = found.setdefault(name, set())
        for line in metadata.requires(name) or ():
            wanted = Requirement(line)
            below = canonicalize_name(wanted.name)
            if wanted.marker and not any(
                wanted.marker.evaluate({"extra": one}) for one in ("", *extras[name])
            ):
                continue
            needs.add(below)
            more = extras.get(below, frozenset()) | wanted.extras
            if below not in found or more != extras[below]:
                extras[below] = more
                waiting.append(below)
    return found


def _ref(name: str) -> str:
    return f"pkg:pypi/{name}@{metadata.version(name).partition('+')[0]}"


def _component(name: str) -> dict[str, Any]:
    """A distribution; a label such as ``+cpu`` is left out: it is another file of the same version."""
    return {
        "type": "library",
        "bom-ref": _ref(name),
        "purl": _ref(name),
        "name": name,
        "version": metadata.version(name).partition("+")[0],
        "licenses": _licences(name),
    }


def _licences(name: str) -> list[dict[str, Any]]:
    about = metadata.metadata(name)
    if expressions := about.get_all("License-Expression"):
        return [{"expression": expressions[0]}]
    tags = [tag.removeprefix(OLD_TAG) for tag in about.get_all("Classifier", []) if tag.startswith(OLD_TAG)]
    said = tags or [line for line in "\n".join(about.get_all("License", [])).splitlines()[:1] if line.strip()]
    return [{"license": {"name": one.strip()}} for one in said]


def _model(repo: str, revision: str, files: Any) -> dict[str, Any]:
    """A model that comes inside, with its files."""
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{repo}@{revision}",
        "name": repo,
        "version": revision,
        "components": [
            {"type": "file", "name": one.path, "hashes": [{"alg": "SHA-256", "content": one.sha256}]}
            for one in files
        ],
    }
