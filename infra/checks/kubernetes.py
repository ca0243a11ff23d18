"""The manifests, against the schemas that Kubernetes publishes and the fields that KubeRay knows.

Strict: a field that the schema does not name is a fault. What the schema cannot say, such as
whether a claim can be bound, only a cluster knows.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import kubernetes_validate
from jsonschema import Draft202012Validator

from infra.checks.places import KUBERNETES, Document, manifests, pod_templates

VERSION = "1.34"  # of Kubernetes
RAY = "ray.io/"


def faults(objects: Iterable[tuple[Path, Document]] | None = None) -> Iterator[str]:
    """What does not fit, of these objects or of all that are deployed."""
    validator = Draft202012Validator(
        json.loads((KUBERNETES / "kuberay.schema.json").read_text(encoding="utf-8"))
    )
    for path, document in manifests() if objects is None else objects:
        where = f"{path.name} {document['kind']}"
        if not document["apiVersion"].startswith(RAY):
            yield from _misfits(where, document)
            continue
        for error in validator.iter_errors(document):
            yield f"{where}: {error.json_path}: {error.message}"
        for name, template in pod_templates(document):
            yield from _misfits(f"{where} {name}", _as_kubernetes_knows_it(template))
        options = document["spec"].get("autoscalerOptions", {})
        sidecar = {key: options[key] for key in ("resources", "securityContext") if key in options}
        if sidecar:
            pod = {"spec": {"containers": [{"name": "autoscaler", "image": "ray", **sidecar}]}}
            yield from _misfits(f"{where} autoscaler", _as_kubernetes_knows_it(pod))


def _as_kubernetes_knows_it(template: Document) -> Document:
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "of-ray"}, "template": template}


def _misfits(where: str, document: Document) -> Iterator[str]:
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{where}: {'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"{where}: {error.message}"
