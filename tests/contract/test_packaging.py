"""Plain top-level packages are safe while these hold (docs/decisions/0001-plain-top-level-packages.md)."""

import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.contract.house import PACKAGES, ROOT, modules, tracked_files

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("#")[0].strip() for line in lines)
    return {
        canonicalize_name(name): version for name, _, version in (pin.partition("==") for pin in pins if pin)
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_each_name_is_ours_alone(package: str):
    """An editable install claims no names of its own, so what counts is that nobody else does."""
    assert metadata.distribution("rightstep").version == PYPROJECT["project"]["version"]
    assert set(metadata.packages_distributions().get(package, [])) <= {"rightstep"}
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin == str(ROOT / package / "__init__.py")


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheel")
    backend = Path(sys.executable).with_name("uv-build")
    result = subprocess.run(
        [backend, "build-wheel", str(folder)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    with zipfile.ZipFile(next(folder.glob("rightstep-*.whl"))) as wheel:
        return wheel.namelist()


def test_the_wheel_holds_the_five_packages_and_nothing_else(wheel_files: list[str]):
    tops = {name.split("/", maxsplit=1)[0] for name in wheel_files}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_takes_along_what_is_not_python(wheel_files: list[str]):
    """Weights, licences, presets, templates and migrations: an installed wheel works without a checkout."""
    committed = {
        str(path.relative_to(ROOT)) for path in tracked_files() if path.relative_to(ROOT).parts[0] in PACKAGES
    }
    assert sorted(committed - set(wheel_files)) == []
    assert any(name.endswith(".safetensors") for name in wheel_files)
    assert [name for name in wheel_files if name.endswith((".pyc", ".pt", ".bin", ".sqlite"))] == []


def test_no_module_bears_the_name_of_another_package():
    shadows = [
        name
        for name, _ in modules(*PACKAGES)
        if name.split(".")[-1] in PACKAGES and name.split(".")[0] != name.split(".")[-1]
    ]
    assert shadows == []


def test_the_tools_see_the_five_packages_and_nothing_else():
    tool = PYPROJECT["tool"]
    five = set(PACKAGES)
    assert set(tool["uv"]["build-backend"]["module-name"]) == five
    assert set(tool["mypy"]["packages"]) == five
    assert set(tool["pyright"]["include"]) == five
    assert set(tool["importlinter"]["root_packages"]) == five
    assert set(tool["check-wheel-contents"]["toplevel"]) == five


def test_prefect_entrypoints_are_modules_not_files():
    """A file entrypoint puts its folder at the head of sys.path, and a stranger may answer to `policy`."""
    by_file = re.compile(r"entrypoint\s*[=:]\s*f?[\"']?[\w./{}-]*\.py:")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked_files()
        if path.suffix in {".py", ".yaml", ".yml", ".toml"} and not path.is_relative_to(ROOT / "tests")
        for match in by_file.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []
    assert by_file.search('entrypoint="flows/render_batch.py:render_batch"')
    assert by_file.search("entrypoint: flows/render_batch.py:render_batch")
    assert not by_file.search('entrypoint="flows.render_batch:render_batch"')


def test_tests_are_no_package():
    assert [path for path in tracked_files() if path.name == "__init__.py" and "tests" in path.parts] == []


def test_every_dependency_is_pinned_within_its_range():
    pins = constraints()
    project = PYPROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name != "rightstep":
            assert name in pins, f"{requirement} has no pin in constraints.txt"
            assert requirement.specifier.contains(pins[name]), f"{requirement} excludes the pin {pins[name]}"


def test_what_is_installed_is_what_is_pinned():
    pins = constraints()
    differing = {
        name: (dist.version, pins[name])
        for dist in metadata.distributions()
        if (name := canonicalize_name(dist.metadata["Name"])) in pins
        and dist.version.split("+")[0] != pins[name]
    }
    assert differing == {}


def test_pins_are_exact_and_carry_no_local_label():
    pins = constraints()
    assert len(pins) > 50
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins.values())
