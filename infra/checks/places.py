"""Where the files are that are checked, and how they are read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
COMPOSE = INFRA / "compose" / "compose.yaml"
KUBERNETES = INFRA / "kubernetes"
PROMETHEUS = INFRA / "prometheus"
DASHBOARDS = INFRA / "grafana" / "dashboards"

Document = dict[str, Any]


def read_yaml(path: Path) -> Document:
    """A file of one document."""
    found: Document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def manifests() -> Iterator[tuple[Path, Document]]:
    """Every object that is handed to Kubernetes, with the file that it stands in."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document["kind"] != "Kustomization":
                yield path, document


def pod_templates(document: Document) -> Iterator[tuple[str, Document]]:
    """The pod templates of an object, each with a name to tell it by."""
    spec, name = document.get("spec", {}), document["metadata"].get("name", document["kind"])
    if "template" in spec:
        yield name, spec["template"]
    cluster = spec.get("rayClusterSpec", spec)
    if "headGroupSpec" in cluster:
        yield f"{name} head", cluster["headGroupSpec"]["template"]
    for group in cluster.get("workerGroupSpecs", ()):
        yield f"{name} {group['groupName']}", group["template"]
