"""Stacks as they are made resident: every file verified before a single byte of it is loaded."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from policy.errors import IntegrityFault
from policy.stacks import FilePin
from policy.tasks import StackLoad
from workers.model_cache import Held, ModelCache
from workers.renderer import Renderer

Verify = Callable[[str, tuple[FilePin, ...]], "Sequence[Trouble]"]  # of files under a folder; empty is good
Digests = Callable[[str, tuple[FilePin, ...]], tuple[tuple[str, str], ...]]  # (path, sha256) as hashed now


class Trouble(Protocol):
    """What a verifier says of one file that must not be loaded."""

    @property
    def detail(self) -> str:
        """One sentence for a person."""
        ...


@dataclass(frozen=True, kw_only=True)
class Resident:
    """A stack that is loaded, and what its files hashed to when it was."""

    renderer: Renderer
    loaded: tuple[tuple[str, str], ...]  # (repo/path, sha256)
    held: Held | None = None  # its files, where they lie in a cache that would make room of them


def resident_key(load: StackLoad) -> str:
    """What a resident stack is told apart by: a fused one is another."""
    return f"{load.stack.stack_id} fused={load.fuse}"


def verified(load: StackLoad, verify: Verify, digests: Digests) -> tuple[tuple[str, str], ...]:
    """Digests of all files of a stack as found here; one that differs from its pin is an IntegrityFault."""
    found: list[tuple[str, str]] = []
    for pin, part in zip(load.stack.pins, load.parts, strict=True):
        faults = verify(part.root, pin.files)
        if faults:
            told = "; ".join(fault.detail.rstrip(".") for fault in faults)
            raise IntegrityFault(
                f"{pin.repo} is not what was pinned, so nothing of it was loaded: {told}.",
                "Restore the files, or pin the model again.",
            )
        found += [(f"{pin.repo}/{path}", sha256) for path, sha256 in digests(part.root, pin.files)]
    return tuple(found)


def brought(
    load: StackLoad, models: ModelCache | None, verify: Verify, digests: Digests
) -> tuple[Held, tuple[tuple[str, str], ...]]:
    """The files of a stack on this node, held and verified.

    What a cache has damaged is thrown away and brought once more; elsewhere it is an IntegrityFault.
    """
    if models is None:
        return Held(load), verified(load, verify, digests)
    try:
        return _held_and_verified(load, models, verify, digests)
    except IntegrityFault:
        models.mend(load)
        return _held_and_verified(load, models, verify, digests)


def _held_and_verified(
    load: StackLoad, models: ModelCache, verify: Verify, digests: Digests
) -> tuple[Held, tuple[tuple[str, str], ...]]:
    held = models.hold(load)
    try:
        return held, verified(held.load, verify, digests)
    except BaseException:
        held.release()
        raise


class ResidentStacks:
    """At most so many stacks at once, each in a renderer of its own; the one used longest ago makes room.

    Room is made before the next stack is loaded, so that there are never more than the bound.
    Not for several threads.
    """

    def __init__(self, most: int, make: Callable[[StackLoad], Resident]) -> None:
        self._most = most
        self._make = make
        self._held: OrderedDict[str, Resident] = OrderedDict()

    @property
    def keys(self) -> tuple[str, ...]:
        """What is resident, used longest ago first."""
        return tuple(self._held)

    def take(self, load: StackLoad) -> tuple[Resident, bool]:
        """The stack, loaded now where it was not; and whether it was."""
        key = resident_key(load)
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key], True
        while len(self._held) >= self._most:
            _, gone = self._held.popitem(last=False)
            if gone.held is not None:
                gone.held.release()
        made = self._make(load)
        self._held[key] = made
        return made, False
