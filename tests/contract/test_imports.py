"""Who may import whom, and who may know which heavy thing."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.house import (
    PACKAGES,
    RAY_MODULES,
    RENDERER_MODULES,
    ROOT,
    WEB,
    imported_names,
    modules,
)

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
TORCH_FAMILY = {"torch", "diffusers", "transformers", "peft", "accelerate"}
EDGE = {"pydantic", "pydantic_settings"}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=root, check=False, capture_output=True, text=True, timeout=240
    )


def may_know(heavy: str, module: str) -> bool:
    """The map of the house, as one function: is this module a place for this library?"""
    package = module.split(".", maxsplit=1)[0]
    if heavy in TORCH_FAMILY:
        return module in RENDERER_MODULES
    if heavy == "ray":
        return module in RAY_MODULES
    if heavy in {"sqlalchemy", "alembic"}:
        return package == "registry" and not module.startswith("registry.licences")
    if heavy == "prefect":
        return package == "flows" and module not in {"flows.steps", "flows.settings", "flows.bootstrap"}
    if heavy in {"c2pa", "cyclonedx"}:
        return (
            module == {"c2pa": "registry.evidence.credentials", "cyclonedx": "registry.evidence.bom"}[heavy]
        )
    if heavy in {"fastapi", "starlette", "uvicorn"}:
        return module.startswith(WEB)
    if heavy == "prometheus_client":
        return module in {"rightstep.web.metrics", "rightstep.web.live_figures"}
    if heavy == "fsspec":
        return module == "workers.object_stores"
    if heavy == "opentelemetry":
        return module == "rightstep.web.traces"
    if heavy in EDGE:
        return package in {"flows", "rightstep"}
    return True


@pytest.mark.parametrize("package", PACKAGES)
def test_only_its_own_room_knows_a_heavy_library(package: str):
    found = list(modules(package))
    assert found, f"{package} has no modules: this test would prove nothing"
    strangers = [
        f"{name} imports {imported}"
        for name, path in found
        for imported in sorted(imported_names(path))
        if not may_know(imported.split(".")[0], name)
    ]
    assert strangers == []


def test_the_map_of_rooms_refuses_what_it_should():
    assert not may_know("torch", "flows.steps")
    assert not may_know("ray", "rightstep.cli.render")
    assert not may_know("sqlalchemy", "registry.licences.rules")
    assert not may_know("prefect", "flows.steps")
    assert not may_know("pydantic", "policy.manifest")
    assert not may_know("c2pa", "registry.shipments")
    assert not may_know("fastapi", "flows.steps")
    assert not may_know("starlette", "rightstep.cli.plan")
    assert not may_know("sqlalchemy", "rightstep.web.app")
    assert not may_know("opentelemetry", "rightstep.web.app")
    assert not may_know("prometheus_client", "flows.steps")
    assert not may_know("fsspec", "workers.artefacts")
    assert may_know("fastapi", "rightstep.web.app")
    assert may_know("sqlalchemy", "registry.ledger")


@pytest.mark.parametrize("package", [*PACKAGES, "training", "benchmarks", "tests", "infra"])
def test_imports_are_absolute(package: str):
    relative = [
        name for name, path in modules(package) if any(i.startswith(".") for i in imported_names(path))
    ]
    assert relative == []


def settings_read_in(path: Path) -> set[str]:
    """Our own environment variables that a file names as such, in code and not in a sentence."""
    constants = (
        node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)
    )
    return {
        text for text in constants if isinstance(text, str) and re.fullmatch(r"RIGHTSTEP_[A-Z0-9_]*", text)
    }


def test_only_settings_read_our_environment():
    readers = {name: found for name, path in modules(*PACKAGES) if (found := settings_read_in(path))}
    assert set(readers) <= {"flows.settings"}
    assert settings_read_in(ROOT / "flows" / "settings.py"), (
        "the settings name no prefix: this test would prove nothing"
    )


def test_the_import_contracts_hold():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_import_contracts_notice_a_breach(tmp_path: Path):
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("hub", "__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "registry/licences").mkdir(exist_ok=True)
    (tmp_path / "registry/licences/__init__.py").touch()
    breaches = {
        "policy/planted.py": "import pydantic\nimport flows\n",
        "registry/licences/planted.py": "import sqlalchemy\n",
        "registry/planted.py": "import workers\n",
        "workers/planted.py": "import prefect\nimport sqlalchemy\n",
        "rightstep/planted.py": "def later() -> None:\n    import torch\n",
        "rightstep/web/planted.py": "def later() -> None:\n    import workers.pool\n",
        "flows/planted.py": "def later() -> None:\n    import starlette\n",
    }
    for name, text in breaches.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    broken = [line for line in result.stdout.splitlines() if line.endswith("BROKEN")]
    assert len(broken) == 8, result.stdout
