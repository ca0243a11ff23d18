"""Where batches that made room wait to go on: one file each, found by what its pixels depend on.

A snapshot is a shortcut and no more: one that is missing, torn or of another device is as good
as none, and the batch begins again. So its file needs no flush, only a name that appears whole.
"""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from policy.canonical import digest
from policy.errors import StorageFault
from policy.tasks import RenderTask
from workers.renderer import Snapshot

FORGOTTEN_SECONDS = 7 * 24 * 3600.0  # a batch that nobody came back for by then was cancelled
LINE = b"\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotPlace:
    """Where one batch waits."""

    path: Path

    def load(self) -> Snapshot | None:
        """The batch as it was set aside; None where it was not, or its file is torn."""
        try:
            head, _, content = self.path.read_bytes().partition(LINE)
            told = json.loads(head)
            if told["bytes"] != len(content):
                return None
            return Snapshot(steps=int(told["steps"]), seconds=float(told["seconds"]), content=content)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, snapshot: Snapshot) -> None:
        """Put the batch here; StorageFault where the disk does not take it."""
        told = {"steps": snapshot.steps, "seconds": snapshot.seconds, "bytes": len(snapshot.content)}
        draft = self.path.with_suffix(f".{uuid4().hex}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(json.dumps(told).encode() + LINE + snapshot.content)
            draft.replace(self.path)
        except OSError as fault:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise StorageFault(
                f"A batch could not be set aside: {fault.strerror or fault}.",
                f"Make room under {self.path.parent}.",
            ) from fault

    def clear(self) -> None:
        """The batch is made."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


class SnapshotFolder:
    """The batches of a house that wait to go on."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._forget(time.time() - FORGOTTEN_SECONDS)

    def place_of(self, task: RenderTask, device: str) -> SnapshotPlace:
        """By device with its threads, and by the shots in their order: what all of its bits depend on."""
        facts = [device, [shot.shot_key for shot in task.shots]]
        return SnapshotPlace(path=self._root / f"{digest('batch-snapshot', facts)}.snapshot")

    def _forget(self, horizon: float) -> None:
        for path in self._root.glob("*"):
            with suppress(OSError):  # another worker was quicker
                if path.stat().st_mtime < horizon:
                    path.unlink()
