"""The way into the house: settings, logs and wiring, imported by the command that needs them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.bootstrap import House
    from flows.settings import Settings


def read_settings() -> "Settings":
    """The settings, with logs set up where they say."""
    from flows.settings import load_settings
    from rightstep.logs import set_up_logs

    settings = load_settings()
    set_up_logs(settings.logs)
    return settings


def enter_house() -> "House":
    """Everything wired: database, catalogue, sources. The first time, the house is made."""
    from flows.bootstrap import open_house

    return open_house(read_settings())


def now() -> datetime:
    """The clock of this room."""
    return datetime.now(tz=UTC)
