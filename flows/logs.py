"""Structured logs: events with keys, one JSON object a line, in the house's log folder."""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog

from policy.access import without_secrets

ROOT = "rightstep"  # every logger and event hangs below it, since the packages have plain names
LOG_BYTES = 10_000_000
LOGS_KEPT = 5
logging.getLogger(ROOT).addHandler(logging.NullHandler())  # where nobody set logs up, nothing is said


def set_up_logs(folder: Path) -> Path:
    """Send events to ``folder``/rightstep.log, one JSON object a line; may be called again."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "rightstep.log"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger(ROOT)
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    file = RotatingFileHandler(kept, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8", delay=True)
    file.setFormatter(_formatter(structlog.processors.JSONRenderer(), shared))
    root.addHandler(file)
    root.setLevel(logging.INFO)
    root.propagate = False
    return kept


def _formatter(
    renderer: structlog.typing.Processor, shared: list[structlog.typing.Processor]
) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, _safe],
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
    )


def _safe(_logger: object, _method: str, line: Any) -> Any:
    """The last look at a line: whatever wrote it, no secret of a key stays in the file."""
    return without_secrets(line)
