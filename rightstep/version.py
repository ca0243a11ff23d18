"""Which Rightstep this is."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of


def version_text() -> str:
    """The installed version; a checkout that was never installed says so."""
    try:
        return version_of("rightstep")
    except PackageNotFoundError:
        return "0.0.0 (not installed)"
