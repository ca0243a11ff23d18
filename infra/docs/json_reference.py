"""The page of JSON keys, from the values that commands print; their meaning is the comment at the field."""

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

HEAD = """\
# JSON of the command line

Written by `make docs` from the values themselves; do not edit by hand.

Every command that prints data takes `--json`, and then prints one JSON document on stdout. Keys are stable:
none is added, renamed or removed without a line in the changelog. Times are ISO 8601 in UTC, digests are
lower-case hex, a value that is not known is `null`.

A command that ends in an error prints a [Problem](#problem) instead, with the exit code in it. An order that
is refused, by `plan` or `render`, prints a [Refusal](#refusal).
"""
PLAIN: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "date",
    datetime: "time",
    types.NoneType: "null",
}


def answers() -> tuple[tuple[str, Any], ...]:
    """What each command prints with ``--json``; a list in brackets."""
    from flows.access import CreatedKey  # noqa: PLC0415
    from flows.approving import ApprovalRecords, ApprovalShown  # noqa: PLC0415 - reading this module loads nothing
    from flows.audit_kit import KitWritten  # noqa: PLC0415
    from flows.audit_reports import AuditReport  # noqa: PLC0415
    from flows.auditing import ConsistencyProof, InclusionProof  # noqa: PLC0415
    from flows.concluding import LicenceConcluded  # noqa: PLC0415
    from flows.context_facts import ContextShown  # noqa: PLC0415
    from flows.doctor_findings import Finding  # noqa: PLC0415 - reading this module loads nothing
    from flows.drift import DriftLook  # noqa: PLC0415
    from flows.pinning import ImportedModel  # noqa: PLC0415
    from flows.recalling import RevocationAnswer  # noqa: PLC0415
    from flows.schedules import ScheduleRecord  # noqa: PLC0415
    from flows.standing_house import HouseStatus  # noqa: PLC0415
    from flows.stocktaking import ModelCheck, ModelSummary  # noqa: PLC0415
    from flows.whatif import WhatIf  # noqa: PLC0415
    from policy.access import AccessKey  # noqa: PLC0415
    from policy.approvals import ApprovalRequest  # noqa: PLC0415
    from policy.audit import ChainedEvent  # noqa: PLC0415
    from policy.checkpoints import Checkpoint, Reseal  # noqa: PLC0415
    from policy.identities import Identity  # noqa: PLC0415
    from policy.plan import ExecutionPlan  # noqa: PLC0415
    from policy.verdicts import Verdict  # noqa: PLC0415
    from registry.audit_walk import AuditCheck  # noqa: PLC0415
    from registry.licences.terms import LicenceTerms  # noqa: PLC0415
    from registry.model_registry import PinRecord  # noqa: PLC0415
    from registry.prompt_keeping import Erasure, LegalHold  # noqa: PLC0415
    from registry.records import JobRecord  # noqa: PLC0415
    from registry.reevaluation import Reevaluation  # noqa: PLC0415
    from registry.shipment_records import Recall, ShipmentRecord  # noqa: PLC0415
    from registry.upstream_records import FoundDrift  # noqa: PLC0415
    from rightstep.cli import shapes  # noqa: PLC0415

    return (
        ("plan", ExecutionPlan),
        ("render", shapes.RenderAnswer),
        ("job list", [JobRecord]),
        ("job show", shapes.JobAnswer),
        ("job watch", shapes.JobAnswer),
        ("job cancel", shapes.JobAnswer),
        ("job resume", shapes.JobAnswer),
        ("job report", shapes.ReportAnswer),
        ("ship", ShipmentRecord),
        ("method list", [shapes.MethodSummary]),
        ("method show", shapes.MethodShown),
        ("licence list", [shapes.LicenceSummary]),
        ("licence show", LicenceTerms),
        ("licence explain", Verdict),
        ("licence conclude", LicenceConcluded),
        ("licence evaluate", shapes.EvaluatedStack),
        ("licence whatif", WhatIf),
        ("licence context", ContextShown),
        ("model list", [ModelSummary]),
        ("model show", PinRecord),
        ("model verify", [ModelCheck]),
        ("model pin", PinRecord),
        ("model import", ImportedModel),
        ("model drift", DriftLook),
        ("model conclude-drift", [FoundDrift]),
        ("model revoke", RevocationAnswer),
        ("schedule add", ScheduleRecord),
        ("schedule list", [ScheduleRecord]),
        ("schedule remove", ScheduleRecord),
        ("audit verify", AuditCheck),
        ("audit report", AuditReport),
        ("audit affected", Recall),
        ("audit reevaluate", Reevaluation),
        ("audit export", [ChainedEvent]),
        ("audit export --kit", KitWritten),
        ("audit checkpoint", Checkpoint),
        ("audit prove", InclusionProof),
        ("audit prove --between", ConsistencyProof),
        ("audit reseal", Reseal),
        ("audit erase-prompts", Erasure),
        ("audit hold", LegalHold),
        ("audit release", LegalHold),
        ("audit holds", [LegalHold]),
        ("identity create", Identity),
        ("identity list", [Identity]),
        ("identity show", Identity),
        ("identity revoke", Identity),
        ("key create", CreatedKey),
        ("key list", [AccessKey]),
        ("key show", AccessKey),
        ("key revoke", AccessKey),
        ("approve ask", [ApprovalRequest]),
        ("waive ask", [ApprovalRequest]),
        ("grant ask", ApprovalRequest),
        ("approve sign", ApprovalShown),
        ("approve list", ApprovalRecords),
        ("approve show", ApprovalShown),
        ("approve withdraw", ApprovalShown),
        ("up", HouseStatus),
        ("down", HouseStatus),
        ("status", HouseStatus),
        ("doctor", [Finding]),
        ("db upgrade", shapes.SchemaAnswer),
    )


def shapes_below(roots: list[type]) -> list[type]:
    """Every dataclass that is reached from the roots, each once, in the order it is met."""
    found: dict[type, None] = {}
    waiting = list(roots)
    while waiting:
        shape = waiting.pop(0)
        if shape not in found:
            found[shape] = None
            hints = get_type_hints(shape)
            waiting += [part for field in fields(shape) for part in parts_of(hints[field.name])]
    return list(found)


def parts_of(hint: Any) -> Iterator[type]:
    """The dataclasses that a type hint speaks of."""
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for argument in get_args(hint):
        yield from parts_of(argument)


def said(hint: Any) -> str:
    """A type hint in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(f"`{member.value}`" for member in hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if origin in {Union, types.UnionType}:
        return " or ".join(said(argument) for argument in arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {said(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(said(argument) for argument in arguments)}]"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"object of {said(arguments[1])}"
    raise TypeError(f"no words for {hint!r}")


def comments_of(shape: type) -> dict[str, str]:
    """The comment that stands beside each field."""
    source = textwrap.dedent(inspect.getsource(shape))
    lines = source.splitlines()
    found: dict[str, str] = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            rest = lines[(node.end_lineno or node.lineno) - 1].encode()[node.end_col_offset or 0 :].decode()
            found[node.target.id] = rest.partition("#")[2].strip()
    return found


def section(shape: type) -> str:
    """The table of one shape."""
    hints, comments = get_type_hints(shape), {}
    for parent in reversed([one for one in shape.__mro__ if is_dataclass(one)]):
        comments |= comments_of(parent)
    rows = [
        f"| `{field.name}` | {said(hints[field.name])} | {comments.get(field.name, '')} |"
        for field in fields(shape)
    ]
    summary = inspect.cleandoc(shape.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
    return "\n".join(
        [
            f"### {shape.__name__}",
            "",
            summary,
            "",
            "| key | type | meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def page() -> str:
    """The whole page."""
    from rightstep.cli.shapes import Problem, Refusal  # noqa: PLC0415 - reading this module loads nothing

    printed = answers()
    commands = ["## What each command prints", "", "| command | prints |", "| --- | --- |"]
    for command, shape in printed:
        words = f"list of {said(shape[0])}" if isinstance(shape, list) else said(shape)
        words = "one " + said(shape[0]) + " a line" if command == "audit export" else words
        words = f"one {words} a line for each stack" if command == "licence evaluate" else words
        commands.append(f"| `rightstep {command}` | {words} |")
    roots = [shape[0] if isinstance(shape, list) else shape for _, shape in printed]
    shapes = shapes_below([Refusal, Problem, *roots])
    return "\n".join([HEAD, *commands, "", "## Shapes", "", *(section(shape) for shape in shapes)])
