"""The edge: here errors become words and exit codes, and nothing leaves as a traceback."""

import sys
import traceback
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from policy.access import without_secrets
from policy.errors import (
    AuditFault,
    FormatFault,
    IntegrityFault,
    LedgerFault,
    ManifestRejected,
    Refused,
    RenderFault,
    RightstepError,
    ServiceFault,
    StorageFault,
    UnknownName,
    WrongUse,
)
from rightstep.cli.output import ExitCode, print_json, talk_console

# Class, exit code, the words over its panel. The first that fits is taken.
ERRORS: tuple[tuple[type[RightstepError], ExitCode, str], ...] = (
    (Refused, ExitCode.REFUSED, "Refused"),
    (ManifestRejected, ExitCode.WRONG_USE, "This manifest cannot be read"),
    (UnknownName, ExitCode.WRONG_USE, "No such name"),
    (WrongUse, ExitCode.WRONG_USE, "That cannot be meant"),
    (IntegrityFault, ExitCode.BROKEN, "Bytes are not what was pinned"),
    (FormatFault, ExitCode.BROKEN, "Stored text is damaged"),
    (LedgerFault, ExitCode.BROKEN, "The ledger refused"),
    (RenderFault, ExitCode.BROKEN, "Rendering failed"),
    (StorageFault, ExitCode.BROKEN, "Bytes could not be kept"),
    (ServiceFault, ExitCode.BROKEN, "A service did not answer"),
    (AuditFault, ExitCode.BROKEN, "The audit log does not hold"),
    (RightstepError, ExitCode.BROKEN, "That did not work"),
)


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code, whatever happens."""
    as_json = "--json" in arguments
    try:
        from rightstep.cli.app import app

        app(args=list(arguments), prog_name="rightstep")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.DONE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except RightstepError as error:
        return report_error(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last edge: whatever is left is a defect, and is kept for the reader
        return report_crash(error, arguments, as_json=as_json)
    return ExitCode.DONE


def report_error(error: RightstepError, *, as_json: bool) -> int:
    """Say what went wrong, why, and what would help; with ``--json`` the same as data."""
    _, code, title = next(known for known in ERRORS if isinstance(error, known[0]))
    verdict = error.verdict if isinstance(error, Refused) else None
    reasons = verdict.against() if verdict else ()
    if as_json:
        from rightstep.cli.shapes import Problem

        print_json(
            Problem(
                refused=code is ExitCode.REFUSED,
                error=type(error).__name__,
                message=error.message,
                next_step=error.next_step,
                exit_code=int(code),
                reasons=reasons,
                remedies=(error.next_step,) if error.next_step else (),
            )
        )
    from policy.explain import reason_line

    lines = [reason_line(reason) for reason in reasons]
    message = (
        lines.pop()
        if len(lines) == 1
        else f"{len(lines)} reasons speak against it."
        if lines
        else error.message
    )
    show_problem(title, message, lines, (error.next_step,))
    return code


def report_crash(error: Exception, arguments: Sequence[str], *, as_json: bool) -> int:
    """A defect of ours: a short message, and the whole story in a file that can be sent along."""
    kept = _keep_crash(error, arguments)
    message = f"{type(error).__name__}: {error}"
    next_step = f"The whole story is in {kept}; please send it along with what you did." if kept else ""
    if as_json:
        from rightstep.cli.shapes import Problem

        print_json(
            Problem(
                refused=False,
                error=type(error).__name__,
                message=message,
                next_step=next_step,
                exit_code=int(ExitCode.BROKEN),
            )
        )
    show_problem("Something broke that should not have", message, (), (next_step,))
    return ExitCode.BROKEN


def _keep_crash(error: Exception, arguments: Sequence[str]) -> Path | None:
    """Write the traceback to the log folder, or where temporary files go; None where neither takes it."""
    from tempfile import gettempdir

    stamp = f"{datetime.now(tz=UTC):%Y%m%dT%H%M%S%fZ}"
    story = f"rightstep {' '.join(arguments)}\n\n{''.join(traceback.format_exception(error))}"
    for folder in (_log_folder(), Path(gettempdir())):
        if folder is None:
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            kept = folder / f"crash-{stamp}.log"
            kept.write_text(without_secrets(story), encoding="utf-8")
        except OSError:
            continue
        return kept
    return None


def _log_folder() -> Path | None:
    try:
        from flows.settings import load_settings

        return load_settings().logs
    except Exception:  # noqa: BLE001 - settings may be what broke; the temporary folder serves then
        return None


def show_problem(title: str, message: str, lines: Iterable[str], next_steps: Iterable[str]) -> None:
    """A panel on a terminal, plain lines in a log; always on stderr."""
    console = talk_console()
    steps = [step for step in next_steps if step]
    if not sys.stderr.isatty():
        console.print(f"{title}: {message}")
        for line in lines:
            console.print(f"  - {line}")
        for step in steps:
            console.print(f"Next: {step}")
        return
    from rich.panel import Panel
    from rich.text import Text

    body = Text(message)
    for line in lines:
        body.append(f"\n  • {line}")
    for number, step in enumerate(steps):
        body.append("\n" if number else "\n\n")
        body.append("Next  ", style="bold")
        body.append(step)
    console.print(Panel(body, title=Text(title, style="bold red"), title_align="left", border_style="red"))
