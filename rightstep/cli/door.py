"""The way into the house: settings, logs and wiring, imported by the command that needs them."""

import sys
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.bootstrap import House
    from flows.settings import Settings


def read_settings() -> "Settings":
    """The settings, with logs set up where they say."""
    import structlog

    from flows.logs import set_up_logs
    from flows.settings import load_settings

    settings = load_settings()
    set_up_logs(settings.logs)
    structlog.get_logger("rightstep.cli").info("command.started", words=_named(sys.argv[1:]))
    return settings


def _named(words: list[str]) -> list[str]:
    """Noun and verb of a command line, and which options it has; what they say is nobody's business."""
    command = list(takewhile(str.isalpha, words[:2]))
    return command + [word.split("=")[0] for word in words if word.startswith("-")]


def enter_house() -> "House":
    """Everything wired: database, catalogue, sources. The first time, the house is made."""
    from flows.bootstrap import open_house

    return open_house(read_settings())


def now() -> datetime:
    """The clock of this room."""
    return datetime.now(tz=UTC)
