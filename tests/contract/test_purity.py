"""What an import brings along, seen in a fresh process: static contracts follow our own modules only."""

import json

import pytest

from tests.contract.house import PACKAGES, RENDERER_MODULES, ROOT, WEB, fresh_python, modules

HEAVY = ("torch", "ray", "prefect", "sqlalchemy", "pydantic")

# Imports each name, then prints which top-level modules came that are neither ours nor the standard library's.
STRANGERS = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(name for name in new if name not in sys.stdlib_module_names)))
"""

# Makes some libraries impossible to import, then imports each name: what needs one of them fails.
WITHOUT = """
import importlib, sys
without, names = sys.argv[1].split(","), sys.argv[2:]
sys.modules.update({name: None for name in without})
for name in names:
    importlib.import_module(name)
"""


def strangers(*names: str) -> set[str]:
    result = fresh_python(STRANGERS, *names)
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def names_of(prefix: str) -> list[str]:
    package = prefix.split(".", maxsplit=1)[0]
    return [name for name, _ in modules(package) if name == prefix or name.startswith(f"{prefix}.")]


def test_policy_brings_only_the_standard_library():
    names = names_of("policy")
    assert len(names) > 5
    assert strangers(*names) == {"policy"}


def test_licence_rules_bring_only_policy_and_the_standard_library():
    names = names_of("registry.licences")
    assert names, "registry.licences has no modules"
    assert strangers(*names) <= {"policy", "registry"}


def test_a_stranger_would_be_noticed():
    assert "pydantic" in strangers("policy", "pydantic")


def test_renderers_work_on_a_bare_gpu_machine():
    names = [name for name, _ in modules("workers") if name in RENDERER_MODULES]
    assert names, "none of the renderer modules exists"
    result = fresh_python(WITHOUT, "ray,prefect,sqlalchemy,alembic,pydantic_settings", *names)
    assert result.returncode == 0, result.stderr


def test_training_works_on_a_bare_gpu_machine():
    names = [name for name, _ in modules("training") if not name.endswith("__main__")]
    assert names, "there is no training code"
    result = fresh_python(WITHOUT, "ray,prefect,sqlalchemy,alembic,pydantic_settings,typer", *names)
    assert result.returncode == 0, result.stderr


def test_the_web_brings_no_engine_and_no_command_line():
    """The database comes along below `flows.steps`; no module of the web names it."""
    names = names_of(WEB)
    assert len(names) > 10
    assert strangers(*names) & {"torch", "ray", "prefect", "diffusers", "transformers", "typer"} == set()


def test_a_missing_library_would_be_noticed():
    assert fresh_python(WITHOUT, "sqlalchemy", "sqlalchemy").returncode != 0


HELP = """
import runpy, sys
sys.argv = ["rightstep", *sys.argv[1:]]
try:
    runpy.run_module("rightstep", run_name="__main__")
except SystemExit as exit:
    assert not exit.code, exit.code
heavy = sorted({"torch", "ray", "prefect", "diffusers", "transformers"} & set(sys.modules))
print(f"HEAVY {heavy}")
"""


@pytest.mark.parametrize("arguments", [("--help",), ("render", "--help"), ("plan", "--help")])
def test_help_starts_nothing_heavy(arguments: tuple[str, ...]):
    result = fresh_python(HELP, *arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_introduced_by_its_docstring_alone(package: str):
    for name, path in modules(package):
        if path.name == "__init__.py":
            text = path.read_text(encoding="utf-8").strip()
            assert text.startswith('"""'), f"{name} says nothing about itself"
            assert text.count('"""') == 2, f"{name} holds more than its docstring"
            assert text.endswith('"""'), f"{name} holds more than its docstring"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_it_must_never_know(package: str):
    text = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
    assert "never" in text
    assert (ROOT / package / "py.typed").is_file()
