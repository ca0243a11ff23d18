"""Models into the store, before a node that has them not is given work on them."""

import threading
from functools import partial
from pathlib import Path

from flows.bootstrap import House
from policy.errors import IntegrityFault
from policy.tasks import StackLoad
from registry.known_digests import KnownDigests
from registry.verification import resolve_inside, verify_files
from workers.model_cache import object_name
from workers.object_stores import ObjectStore
from workers.store_addresses import StoreAddress
from workers.verified_stacks import Verify


class Publisher:
    """Puts the files of stacks into a store, each once: by content, so two pins share what they share."""

    def __init__(self, address: StoreAddress, journals: Path, verify: Verify) -> None:
        self._objects = ObjectStore(address)
        self._journals = journals
        self._verify = verify
        self._turn = threading.Lock()
        self._published: set[str] = set()  # pins whose files the store has

    def publish(self, load: StackLoad) -> None:
        """Every file of a stack, verified first; those that the store has are only asked for.

        IntegrityFault where a file is not what was pinned, StorageFault where the store does not take one.
        """
        with self._turn:
            for pin, part in zip(load.stack.pins, load.parts, strict=True):
                if pin.pin_id in self._published:
                    continue
                missing = tuple(
                    file for file in pin.files if self._objects.size_of(object_name(file.sha256)) != file.size
                )
                if faults := self._verify(part.root, missing):
                    raise IntegrityFault(
                        f"{pin.repo} is not what was pinned, so it was not published: {faults[0].detail}",
                        "Restore the files, or pin the model again.",
                    )
                for file in missing:
                    self._objects.put(
                        object_name(file.sha256),
                        resolve_inside(Path(part.root), file.path),
                        file.sha256,
                        self._journals / f"{file.sha256}.upload",
                    )
                self._published.add(pin.pin_id)


def make_publisher(house: House) -> Publisher | None:
    """Of a house with a store; without one, every node has the models or goes without."""
    address = house.settings.store_address
    if address is None:
        return None
    known = KnownDigests(house.settings.run_folder / "verified")
    return Publisher(address, house.settings.run_folder / "uploads", partial(verify_files, known=known))
