"""What is deployed names only what exists: settings, commands, ports, files, versions."""

import importlib.util
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from flows.settings import Settings, load_settings
from infra.checks.places import COMPOSE, INFRA, KUBERNETES, manifests, pod_templates, read_yaml
from infra.checks.sbom import EXTRAS
from rightstep.cli.app import app
from tests.contract.house import ROOT

SERVICES = read_yaml(COMPOSE)["services"]
DOCKERFILE = (INFRA / "docker" / "Dockerfile").read_text(encoding="utf-8")
PODS = [
    (f"{path.stem} {name}", template)
    for path, document in manifests()
    for name, template in pod_templates(document)
]
CONTAINERS = [
    (where, container)
    for where, pod in PODS
    for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
]
OBJECTS = [document for _, document in manifests()]
# What other programs read; PREFECT_ is asked of Prefect, RIGHTSTEP_ of our settings.
THEIRS = re.compile(r"GF_|POSTGRES_|NVIDIA_|PYTHON|(HOME|DO_NOT_TRACK|PROMETHEUS_URL)$")
RAY = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_USAGE_STATS_ENABLED"}
RAY_PORTS = {6379, 8265}  # of its head, by default
CACHE = "/var/lib/rightstep-models"


def commands() -> Iterator[tuple[str, str]]:
    """Every command line that a container runs, with where it stands."""
    for name, service in SERVICES.items():
        yield f"compose {name}", _line(service.get("command", []))
    for where, container in CONTAINERS:
        yield where, _line(container.get("command", []))
    for document in OBJECTS:
        if document["kind"] == "RayJob":
            yield "night", document["spec"]["entrypoint"]


def _line(command: list[str]) -> str:
    """A command as a shell would be given it; of a shell's own, what it is told to do."""
    return command[2] if command[:2] == ["sh", "-c"] else shlex.join(command)


def variables() -> dict[str, set[str]]:
    """Every variable that is set for a container -> where."""
    found: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            found.setdefault(variable, set()).add(f"compose {name}")
    for where, container in CONTAINERS:
        for variable in container.get("env", ()):
            found.setdefault(variable["name"], set()).add(where)
    for document in OBJECTS:
        if document["metadata"].get("name") == "settings":
            for variable in document["data"]:
                found.setdefault(variable, set()).add("settings.yaml")
    for variable in re.findall(r"^(?:ENV| {4})\s*([A-Z_]+)=", DOCKERFILE, re.MULTILINE):
        found.setdefault(variable, set()).add("Dockerfile")
    for where, line in commands():
        for variable in re.findall(r"\b([A-Z_]{6,})=\"\$\$", line):
            found.setdefault(variable, set()).add(where)
    return found


def test_every_variable_is_one_that_somebody_reads():
    import prefect.settings

    found = variables()
    assert {"RIGHTSTEP_RAY_ADDRESS", "PREFECT_SERVER_API_AUTH_STRING", "RAY_AUTH_TOKEN"} <= set(found)
    ours = {f"RIGHTSTEP_{name.upper()}" for name in Settings.model_fields}
    unread = {
        name: sorted(where)
        for name, where in found.items()
        if not (
            name in ours
            or name in RAY
            or THEIRS.match(name)
            or (name.startswith("PREFECT_") and hasattr(prefect.settings, name))
        )
    }
    assert unread == {}


def config() -> dict[str, str]:
    return next(one["data"] for one in OBJECTS if one["metadata"].get("name") == "settings")


@pytest.mark.parametrize("given", [SERVICES["flows"]["environment"], config()], ids=["compose", "kubernetes"])
def test_the_settings_that_are_given_can_be_used(given: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    for name, value in given.items():
        if name.startswith("RIGHTSTEP_") and name != "RIGHTSTEP_SECRETS":
            plain = re.sub(
                r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value
            )  # as compose fills it in where nothing is set
            monkeypatch.setenv(name, plain)
    settings = load_settings()
    assert settings.prefect_elsewhere is not None
    assert settings.prefect_elsewhere.url == "http://prefect:4200/api"
    assert settings.ray_address is not None
    assert str(settings.home) == "/var/lib/rightstep"
    assert settings.fleet.workers >= 2


def test_every_command_of_ours_is_one():
    known: Any = typer.main.get_command(app)
    asked = [(where, words) for where, line in commands() for words in _after(line, "rightstep")]
    assert len(asked) >= 6
    for where, words in asked:
        command: Any = known
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands"), f"{where}: {words}"
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, where


def _after(line: str, program: str) -> Iterator[list[str]]:
    """The words behind each call of a program in a line."""
    for part in re.split(r"&&|\|\||;|>", line):
        words = shlex.split(part)
        if program in words:
            yield words[words.index(program) + 1 :]


def test_every_module_that_is_run_is_ours_and_can_be():
    found = {words[1] for _, line in commands() for words in _after(line, "python") if words[0] == "-m"}
    assert found == {"flows.prefect_service", "flows.serve"}
    for name in found:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        assert 'if __name__ == "__main__":' in (ROOT / spec.origin).read_text(encoding="utf-8")


def test_ray_is_started_with_options_that_it_has():
    from ray.scripts import scripts

    known: Any = scripts.cli
    asked = [(where, words) for where, line in commands() for words in _after(line, "ray")]
    assert len(asked) >= 4
    for where, (verb, *words) in asked:
        options = {name for parameter in known.commands[verb].params for name in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, where


def test_ports_are_those_that_something_listens_at():
    listening = {
        f"compose {name}": set(map(int, re.findall(r"--port[= ]'?(\d+)", _line(service.get("command", [])))))
        for name, service in SERVICES.items()
    }
    assert listening["compose serve"] == {Settings().serve_port}
    for name, service in SERVICES.items():
        opened = {int(port) for port in service.get("expose", ())}
        opened |= {int(port.rpartition(":")[2]) for port in service.get("ports", ())}
        if service["image"].startswith("rightstep:"):
            assert opened <= listening[f"compose {name}"], name
    for where, container in CONTAINERS:
        opened = {port["containerPort"] for port in container.get("ports", ())}
        told = set(map(int, re.findall(r"--port[= ]'?(\d+)", _line(container.get("command", [])))))
        assert opened <= told | (RAY_PORTS if container["name"] == "ray-head" else set()), where


def test_what_is_published_is_published_to_this_machine_alone():
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_services_and_policies_choose_pods_that_exist():
    labels = [pod["metadata"]["labels"] for _, pod in PODS]
    chosen = 0
    for document in OBJECTS:
        spec = document.get("spec", {})
        selectors = {
            "Service": [{"matchLabels": spec.get("selector")}],
            "NetworkPolicy": list(_selectors(spec)),
            "PodDisruptionBudget": [spec.get("selector")],
        }.get(document["kind"], [])
        for selector in selectors:
            chosen += 1
            assert any(_fits(one, selector) for one in labels), f"{document['metadata']['name']}: {selector}"
            for expression in selector.get("matchExpressions", ()):
                for value in expression["values"]:
                    assert any(one.get(expression["key"]) == value for one in labels), value
    assert chosen > 15


def _selectors(found: Any) -> Iterator[dict[str, Any]]:
    """Every podSelector, wherever it stands."""
    for key, value in (
        found.items() if isinstance(found, dict) else enumerate(found if isinstance(found, list) else ())
    ):
        if key == "podSelector":
            yield value
        else:
            yield from _selectors(value)


def _fits(labels: dict[str, str], selector: dict[str, Any]) -> bool:
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ())
    )


def test_every_container_keeps_the_restricted_standard_but_for_one_volume():
    assert len(CONTAINERS) >= 8
    for where, container in CONTAINERS:
        kept = container["securityContext"]
        assert kept["capabilities"] == {"drop": ["ALL"]}, where
        assert (kept["allowPrivilegeEscalation"], kept["readOnlyRootFilesystem"]) == (False, True), where
        assert container["resources"]["requests"], where
    for where, pod in PODS:
        kept = pod["spec"]["securityContext"]
        assert kept["runAsNonRoot"], where
        assert kept["runAsUser"] == 10001, where
        assert kept["seccompProfile"] == {"type": "RuntimeDefault"}, where
        paths = [volume["hostPath"]["path"] for volume in pod["spec"]["volumes"] if "hostPath" in volume]
        assert paths in ([], [CACHE]), where
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"], name


def test_only_who_migrates_knows_the_owner():
    knows = {
        name for name, one in SERVICES.items() if "rightstep_database_owner_url" in one.get("secrets", ())
    }
    assert knows == {"migrate"}
    assert {where for where, pod in PODS if "rightstep-owner" in str(pod)} == {"migrate migrate"}


def test_no_secret_is_committed_and_all_that_are_asked_for_are_drawn_and_explained():
    assert [one for one in OBJECTS if one["kind"] == "Secret"] == []
    drawn = set(
        re.findall(r"^keep (\w+)", (INFRA / "make-secrets.sh").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(read_yaml(COMPOSE)["secrets"]) == drawn
    page = (ROOT / "docs" / "how-to" / "run-on-kubernetes.md").read_text(encoding="utf-8")
    named = set(
        re.findall(
            r"(?:secret: \{ |secret:\n\s+|secretKeyRef: \{ |secretName: )(?:name: )?([a-z-]+)",
            _manifest_text(),
        )
    )
    assert named == {f"rightstep-{name}" for name in ("app", "owner", "prefect", "ray", "store")}
    assert {name for name in named if name not in page} == set()


def _manifest_text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(KUBERNETES.glob("*.yaml")))


def test_everything_is_applied_but_the_job_of_a_night_and_the_way_to_a_store():
    listed = set(read_yaml(KUBERNETES / "kustomization.yaml")["resources"])
    apart = {"kustomization.yaml", "night.yaml", "object-store.yaml"}
    assert {path.name for path in KUBERNETES.glob("*.yaml")} - listed == apart


def test_images_are_pinned_and_ours_are_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    images = {service["image"] for service in SERVICES.values()} | {one["image"] for _, one in CONTAINERS}
    ours = {image for image in images if image.startswith("rightstep:")}
    assert ours == {f"rightstep:{project['version']}-{kind}" for kind in ("cpu", "cuda")}
    base = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    for image in (images - ours) | {base[1]}:
        assert re.search(r":v?\d+(\.\d+){1,2}(-\w+)*(@sha256:[0-9a-f]{64})?$", image), image
    torch = re.search(r"\btorch==(\S+)", DOCKERFILE)
    assert torch is not None
    assert f"torch=={torch[1]}\n" in constraints
    clusters = [one for one in OBJECTS if one["kind"] == "RayCluster"]
    assert [f"ray=={one['spec']['rayVersion']}\n" in constraints for one in clusters] == [True]


def test_an_image_ends_as_a_user_that_is_not_root_and_copies_what_is_there():
    _, *stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    finals = {stage.split()[2]: stage for stage in stages if stage.split()[2] in {"cpu", "cuda"}}
    assert set(finals) == {"cpu", "cuda"}
    for stage in finals.values():
        assert re.findall(r"^USER (\S+)$", stage, re.MULTILINE) == ["10001:10001"]
        assert set(re.findall(r"\[([a-z0-9,]+)\]\"", stage)) == {",".join(sorted(EXTRAS))}
    for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
    let_in = re.findall(
        r"^!(\S+)$", (INFRA / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE
    )
    copied = {
        name
        for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for name in line.split()
    }
    assert set(let_in) == copied


def test_scripts_can_be_run():
    for path in (INFRA / "make-secrets.sh", INFRA / "postgres" / "first-start.sh"):
        assert os.access(path, os.X_OK), path
