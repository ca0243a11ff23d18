"""Manifest files: TOML, YAML, JSON, JSON Lines or CSV in, a frozen RenderManifest out.

The fields are documented in ``docs/reference/manifest.md``. Whatever is wrong is told as
ManifestRejected with the file and the line or field, before anything is planned.
"""

import csv
import io
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.composer import ComposerError

from flows.clock_times import resolve_deadline
from flows.manifest_fields import InputFields, ManifestFields, ShotFields
from policy.errors import ManifestRejected
from policy.limits import Limits
from policy.manifest import RenderManifest, Shot, ShotInput
from policy.tiers import ServiceLevel
from policy.uses import Context, IntendedUse
from registry.verification import sha256_file

# YAML 1.1 reads yes, no, on and off as truth and 22:30 as 1350; YAML 1.2 and people do not.
AS_MEANT = {
    "tag:yaml.org,2002:bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    "tag:yaml.org,2002:int": re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"),
    "tag:yaml.org,2002:float": re.compile(
        r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
    ),
}
TakeInput = Callable[[Path, str, InputFields], ShotInput]  # the order, the place of the shot, what it names
MAX_BYTES = 512 * 1024 * 1024  # 100,000 shots take about 30 MB; far beyond that is not a manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """A file taken apart: its head, and its shots with where each stands."""

    head: dict[str, Any]
    defaults: dict[str, Any]
    shots: Iterator[tuple[str, dict[str, Any]]]


def load_manifest(path: Path, *, now: datetime) -> RenderManifest:
    """Read an order; ``now`` resolves deadlines given as HH:MM, organisation and day are the caller's."""
    return _manifest(path, _text_of(path), now, _input)


def parse_manifest(text: str, name: str, *, now: datetime) -> RenderManifest:
    """Read an order that was sent as text; ``name`` gives its format by its ending, and stands in messages.

    Input files are refused: a path in it would be one of this machine, and not of who sent it.
    """
    return _manifest(Path(name), text, now, _no_input)


def _manifest(path: Path, text: str, now: datetime, take_input: TakeInput) -> RenderManifest:
    read = _reader(path)(path, text)
    head = _head(path, read.head)
    shots = tuple(_shot(path, where, read.defaults, raw, take_input) for where, raw in read.shots)
    if not shots:
        raise ManifestRejected(f"{path.name} orders no shots.", "Add at least one shot.")
    return RenderManifest(
        name=head.name or path.stem,
        shots=shots,
        service=ServiceLevel(
            tier=head.tier,
            deadline=resolve_deadline(head.deadline, head.timezone, now) if head.deadline else None,
            latency_target_s=head.latency_target_s,
            quality_floor=head.quality_floor,
            may_approximate=head.may_approximate,
            may_degrade=head.may_degrade,
        ),
        use=IntendedUse(
            act=head.use,
            territories=head.territories,
            evidence=head.evidence,
            context=Context(name=head.context),
        ),
        owner=head.owner,
        labels=tuple(sorted(head.labels.items())),
        recipients=head.recipients,
        timezone=head.timezone,
        max_failed_shots=head.max_failed_shots,
        waive_output_checks=head.waive_output_checks,
        limits=Limits(
            probes=head.probes or head.hold_after_probes,
            hold_after_probes=head.hold_after_probes,
            budget_seconds=head.budget_seconds,
            budget_end=head.budget_end,
        ),
        source=path.name,
    )


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ManifestRejected(f"{path.name} is larger than {MAX_BYTES >> 20} MB.", "Split the order.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ManifestRejected(f"There is no manifest {path}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise ManifestRejected(
            f"{path.name} is not UTF-8 text: byte {error.start}.", "Save the manifest as UTF-8."
        ) from error
    except OSError as error:
        raise ManifestRejected(
            f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error


def _reader(path: Path) -> Callable[[Path, str], _Read]:
    readers: dict[str, Callable[[Path, str], _Read]] = {
        ".toml": _read_toml,
        ".yaml": _read_yaml,
        ".yml": _read_yaml,
        ".json": _read_json,
        ".jsonl": _read_json_lines,
        ".csv": _read_csv,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ManifestRejected(
            f"{path.name} has no known ending.", f"Use one of {', '.join(sorted(readers))}."
        )
    return reader


def _read_toml(path: Path, text: str) -> _Read:
    try:
        return _document(path, tomllib.loads(text))
    except (ValueError, RecursionError) as error:  # a date that does not exist, a number of 5,000 digits
        raise ManifestRejected(f"{path.name} is not TOML: {error}.", "Correct that line.") from error


def _read_yaml(path: Path, text: str) -> _Read:
    try:
        return _document(path, yaml.load(text, Loader=_PlainLoader))  # noqa: S506 - a SafeLoader without aliases
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ManifestRejected(f"{path.name}{line}: not YAML: {problem}.", "Correct that line.") from error
    except (ValueError, RecursionError) as error:
        raise ManifestRejected(f"{path.name} is not YAML: {error}.", "Correct that value.") from error


class _PlainLoader(yaml.SafeLoader):
    """YAML as people mean it: NO is Norway, 22:30 a time; no key twice; no aliases, which can explode."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML declares it on the instance, and reads it from the class
        first: [
            (tag, AS_MEANT.get(tag, pattern))
            for tag, pattern in resolvers
            if tag != "tag:yaml.org,2002:merge"
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # PyYAML has no types here
            raise ComposerError(None, None, "aliases are not accepted", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - theirs
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _read_json(path: Path, text: str) -> _Read:
    return _document(path, _json(path, text, line=None))


def _json(path: Path, text: str, line: int | None) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        at = line or error.lineno
        raise ManifestRejected(
            f"{path.name}, line {at}: not JSON: {error.msg}.", "Correct that line."
        ) from error
    except _RepeatedKeyError as error:
        place = f", line {line}" if line else ""
        raise ManifestRejected(
            f"{path.name}{place}: the key {str(error)!r} stands twice.", "Keep one of them."
        ) from error
    except (ValueError, RecursionError) as error:
        place = f", line {line}" if line else ""
        raise ManifestRejected(f"{path.name}{place}: not JSON: {error}.", "Correct that value.") from error


class _RepeatedKeyError(ValueError):
    """A JSON object that says two things under one key."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(next(name for name in names if names.count(name) > 1))
    return made


def _document(path: Path, document: Any) -> _Read:
    if not isinstance(document, dict):
        raise ManifestRejected(
            f"{path.name} holds no table at its top.", "Start with a name and a list of shots."
        )
    head = dict(document)
    defaults = head.pop("defaults", {})
    shots = head.pop("shots", [])
    if not isinstance(shots, list):
        raise ManifestRejected(f"{path.name}: shots is not a list.", "Write shots as a list of tables.")
    return _Read(
        head=head,
        defaults=_table(path, "defaults", defaults),
        shots=((f"shots[{index}]", _table(path, f"shots[{index}]", raw)) for index, raw in enumerate(shots)),
    )


def _read_json_lines(path: Path, text: str) -> _Read:
    """One shot a line; an optional first line ``{"manifest": {...}, "defaults": {...}}``."""
    # Split at line feeds alone: other separators of Unicode may stand inside a JSON string.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    head: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    if lines:
        at, line = lines[0]
        first = _json(path, line, at)
        if isinstance(first, dict) and ("manifest" in first or "defaults" in first):
            for name in first.keys() - {"manifest", "defaults"}:
                raise ManifestRejected(
                    f"{path.name}, line {at}: there is no field {name!r} beside manifest and defaults.",
                    "Put fields of the order into manifest, fields of shots into defaults.",
                )
            head = _table(path, f"line {at}, manifest", first.get("manifest", {}))
            defaults = _table(path, f"line {at}, defaults", first.get("defaults", {}))
            lines = lines[1:]
    return _Read(
        head=head,
        defaults=defaults,
        shots=((f"line {at}", _table(path, f"line {at}", _json(path, line, at))) for at, line in lines),
    )


def _read_csv(path: Path, text: str) -> _Read:
    """A row a shot under a header row; empty cells are left to the defaults."""
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)

    def shots() -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            _check_header(path, rows.fieldnames or ())
            for row in rows:
                where = f"line {rows.line_num}"
                if None in row:
                    raise ManifestRejected(
                        f"{path.name}, {where}: more cells than columns.", "Quote cells with commas."
                    )
                yield where, {name: cell for name, cell in row.items() if cell not in {None, ""}}
        except csv.Error as error:
            raise ManifestRejected(
                f"{path.name}, line {rows.line_num}: not CSV: {error}.", "Correct that line."
            ) from error

    return _Read(head={}, defaults={}, shots=shots())


def _check_header(path: Path, names: Sequence[str]) -> None:
    """Every column is known and stands once: a table read past its header loses cells in silence."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ManifestRejected(
                f"{path.name}, line 1: the column {name!r} stands twice.", "Keep one of them."
            )
    if len(names) == 1 and names[0] not in ShotFields.model_fields:
        raise ManifestRejected(
            f"{path.name}, line 1: the one column {names[0]!r} is no field of a shot.",
            "Separate columns by commas, under a header such as name,prompt,model.",
        )


def _table(path: Path, where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ManifestRejected(f"{path.name}: {where} is not a table.", "Write it as field = value pairs.")
    return value


def _head(path: Path, raw: dict[str, Any]) -> ManifestFields:
    try:
        return ManifestFields.model_validate(raw)
    except ValidationError as error:
        raise _rejected(path, "", error) from error


def _shot(
    path: Path, where: str, defaults: dict[str, Any], raw: dict[str, Any], take_input: TakeInput
) -> Shot:
    try:
        fields = ShotFields.model_validate({**defaults, **raw} if defaults else raw)
    except ValidationError as error:
        raise _rejected(path, _place_of(error, where, defaults, raw), error) from error
    return Shot(
        name=fields.name,
        prompt=fields.prompt,
        model=fields.model,
        negative=fields.negative,
        seed=fields.seed,
        width=fields.width,
        height=fields.height,
        frames=fields.frames,
        fps=fields.fps,
        loras=tuple(lora.to_request() for lora in fields.loras),
        inputs=tuple(take_input(path, where, given) for given in fields.inputs),
        steps=fields.steps,
        guidance=fields.guidance,
        method=fields.method,
        priority=fields.priority,
        weight=fields.weight,
        where=f"{path.name}: {where}",
    )


def _place_of(error: ValidationError, where: str, defaults: dict[str, Any], raw: dict[str, Any]) -> str:
    """Where a faulty field was written: with its shot, or once for all of them."""
    place = error.errors()[0]["loc"]
    names = [str(place[0])] if place else [name for name in defaults if name not in ShotFields.model_fields]
    return "defaults" if any(name in defaults and name not in raw for name in names) else where


def _no_input(manifest: Path, where: str, given: InputFields) -> ShotInput:
    raise ManifestRejected(
        f"{manifest.name}: {where}: an order that is sent as text cannot bring the input {given.path}.",
        "Order this shot where the file is, with: rightstep render.",
    )


def _input(manifest: Path, where: str, given: InputFields) -> ShotInput:
    """Hash an input file now: what is planned is these bytes, whatever stands there later."""
    path = manifest.parent / given.path
    if not path.is_file():
        raise ManifestRejected(
            f"{manifest.name}: {where}: there is no input {given.path}.", "Check the path."
        )
    try:
        found = sha256_file(path)
    except OSError as error:
        raise ManifestRejected(
            f"{manifest.name}: {where}: the input {given.path} cannot be read: {error.strerror}.",
            "Check the file and its permissions.",
        ) from error
    if given.sha256 is not None and given.sha256 != found:
        raise ManifestRejected(
            f"{manifest.name}: {where}: input {given.path} has other bytes than its sha256 says.",
            "Correct one of them.",
        )
    return ShotInput(role=given.role, path=str(path), sha256=found, rights=given.rights)


def _rejected(path: Path, where: str, error: ValidationError) -> ManifestRejected:
    faults = error.errors()
    first = faults[0]
    field = ".".join(str(part) for part in first["loc"])
    place = ", ".join(part for part in (where, field) if part)
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    return ManifestRejected(
        f"{path.name}: {place}: {first['msg']}{more}.", "The fields are in docs/reference/manifest.md."
    )
