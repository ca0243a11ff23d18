"""What is imported is declared, and what is declared is needed."""

import sys
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.contract.house import PACKAGES, ROOT, imported_names, modules

OURS = {*PACKAGES, "training", "benchmarks", "tests", "infra"}
# Needed without an import of ours, and why.
SILENT = {
    "peft": "diffusers loads a LoRA through it",
    "psycopg": "SQLAlchemy loads the driver that a database URL names",
    "s3fs": "fsspec loads the file system that an address names",
    "websockets": "uvicorn speaks WebSocket through it, and refuses every upgrade without",
    "tzdata": "zoneinfo reads it where the system has no zone files",
}
# A part of a declared library that is a distribution of its own.
COMES_WITH = {
    "markupsafe": "jinja2",
    "opentelemetry-api": "opentelemetry-sdk",
    "opentelemetry-proto": "opentelemetry-exporter-otlp-proto-http",
    "pydantic-core": "pydantic",
    "starlette": "fastapi",
    "tokenizers": "transformers",
}


def project() -> dict[str, list[str]]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["project"]
    return {"runtime": table["dependencies"], **table["optional-dependencies"]}


def declared(*groups: str) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for group in groups for line in project()[group]} - {
        "rightstep"
    }


def distributions_imported_by(*folders: str) -> dict[str, set[str]]:
    """Distribution -> the modules of these folders that import it."""
    providers = metadata.packages_distributions()
    found: dict[str, set[str]] = {}
    for name, path in modules(*folders):
        for imported in imported_names(path):
            top = imported.split(".", maxsplit=1)[0]
            if top in OURS or top in sys.stdlib_module_names:
                continue
            for provider in _with(imported, providers.get(top, [top])):
                found.setdefault(canonicalize_name(provider), set()).add(name)
    return found


def _with(imported: str, providers: list[str]) -> list[str]:
    """Of several distributions that share a top-level name, those that bring this module."""
    if len(providers) == 1:
        return providers
    folder = imported.replace(".", "/")
    places = (f"{folder}.py", f"{folder}/")
    return [
        provider
        for provider in sorted(set(providers))
        if any(str(file).startswith(places) for file in metadata.files(provider) or ())
    ]


def test_the_product_imports_only_what_it_declares():
    found = distributions_imported_by(*PACKAGES)
    assert len(found) > 10
    allowed = declared("runtime", "postgres", "c2pa", "otel", "s3", "video") | set(COMES_WITH)
    assert {name: sorted(by) for name, by in found.items() if name not in allowed} == {}


def test_tests_and_benchmarks_import_only_what_the_tools_bring():
    allowed = (
        declared("runtime", "postgres", "c2pa", "otel", "s3", "video", "dev")
        | set(COMES_WITH)
        | {"packaging"}
    )  # with pytest
    found = distributions_imported_by("tests", "benchmarks", "training", "infra")
    assert {name: sorted(by) for name, by in found.items() if name not in allowed} == {}


def test_every_declared_library_is_needed():
    used = set(distributions_imported_by(*PACKAGES))
    assert sorted(declared("runtime", "postgres", "c2pa", "otel", "s3", "video") - used - set(SILENT)) == []


def test_what_comes_with_a_library_really_does():
    for part, whole in COMES_WITH.items():
        needs = {canonicalize_name(Requirement(line).name) for line in metadata.requires(whole) or []}
        assert part in needs
        assert whole in declared("runtime", "otel")
