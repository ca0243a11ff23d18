"""Pinned models in reach and the menus made from them: kept while the registry and the folders stand.

A menu depends on what the registry knows, on which folders are there and on what was asked for whom on
which day: each is part of the question, so that a menu is only ever given again to the very same one.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from policy.errors import UnknownName
from policy.manifest import RenderManifest
from policy.menu import Menu
from registry.catalogue import Catalogue
from registry.known_registry import KnownRegistry
from registry.licences.circumstances import Circumstances
from registry.menu import PinnedModel, build_menu
from registry.model_registry import PinRecord
from registry.native_sizes import read_native_size
from registry.sources import VOCABULARY, read_vocabulary

MOST_MENUS = 256  # of one registry: beyond them all are forgotten
Locate = Callable[[PinRecord], Path]
Seen = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Every pinned repository that is in reach, and the menus that were made from it."""

    registry: KnownRegistry
    models: Mapping[str, PinnedModel]
    out_of_reach: tuple[PinRecord, ...]
    seen: Seen
    _menus: dict[object, Menu] = field(default_factory=dict[object, Menu], init=False, repr=False)

    def menu(self, catalogue: Catalogue, order: RenderManifest, bought: Mapping[str, Circumstances]) -> Menu:
        """What the order may choose from, reviews that a person may lift still standing."""
        asked = tuple(dict.fromkeys((shot.model, shot.loras) for shot in order.shots))
        question = (asked, order.service.tier, order.use, frozenset(bought.items()))
        known = self._menus.get(question)
        if known is None:
            known = build_menu(
                manifest=order,
                catalogue=catalogue,
                pinned=self.models,
                use=order.use,
                revocations=self.registry.revocations,
                bought=bought,
            )
            if len(self._menus) >= MOST_MENUS:
                self._menus.clear()
            self._menus[question] = known
        return known


class KeptShelf:
    """The latest shelf of one house; shared by threads, since a shelf is only ever replaced."""

    def __init__(self) -> None:
        self._kept: Shelf | None = None

    def of(self, registry: KnownRegistry, locate: Locate) -> Shelf:
        """The shelf of a registry as its folders are now.

        One whose folder is gone stops the orders that ask for it, and no others.
        """
        kept = self._kept
        if kept is None or kept.registry is not registry or not _stands(kept, locate):
            kept = self._kept = _shelf(registry, locate)
        return kept


def _stands(shelf: Shelf, locate: Locate) -> bool:
    """Whether every folder is the one that was read, and none has come into reach."""
    return _seen(shelf.models) == shelf.seen and all(
        _found(record, locate) is None for record in shelf.out_of_reach
    )


def _shelf(registry: KnownRegistry, locate: Locate) -> Shelf:
    found: dict[str, PinnedModel] = {}
    lost: list[PinRecord] = []
    for repo, record in registry.pins.items():
        root = _found(record, locate)
        if root is None:
            lost.append(record)
            continue
        found[repo] = PinnedModel(
            pin=record.pin,
            component=registry.components[repo],
            root=str(root),
            vocabulary=read_vocabulary(root, repo),
            native_size=read_native_size(root),
        )
    return Shelf(registry=registry, models=found, out_of_reach=tuple(lost), seen=_seen(found))


def _found(record: PinRecord, locate: Locate) -> Path | None:
    try:
        return locate(record)
    except UnknownName:
        return None


def _seen(models: Mapping[str, PinnedModel]) -> Seen:
    """Which folder and word list lies at each root: what is replaced, moved or removed is another."""
    return tuple(
        _mark(path) for model in models.values() for path in (model.root, f"{model.root}/{VOCABULARY}")
    )


def _mark(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - of a text, many times a request
    except OSError:
        return (0, 0, 0)
    return (status.st_dev, status.st_ino, status.st_mtime_ns)
