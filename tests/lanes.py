"""`make test` runs two lanes side by side: a folder is one piece of work, so each service is started once."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

LONGEST = ("tests/integration/flows/", "tests/integration/rightstep/", "tests/e2e/", "tests/integration/")


class FolderScheduling(LoadScopeScheduling):
    """A folder goes to whichever lane is free."""

    def _split_scope(self, nodeid: str) -> str:
        return _folder(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FolderScheduling:
    """By folder, in the order of collection."""
    config.option.loadscopereorder = False
    return FolderScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest starts first."""
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> int:
    return next((place for place, start in enumerate(LONGEST) if nodeid.startswith(start)), len(LONGEST))


def _folder(nodeid: str) -> str:
    return nodeid.partition("::")[0].rpartition("/")[0]
