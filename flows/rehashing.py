"""Before shipping, every pinned file of what was used is hashed again: what was known does not count."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from flows.bootstrap import House
from flows.planning import root_of
from policy.errors import UnknownName
from registry.licences.claims import LicensedComponent
from registry.model_registry import PinRecord
from registry.verification import verify_files


def rehashed(
    house: House,
    components: Mapping[str, LicensedComponent],
    pinned: Mapping[str, PinRecord],
    repos: Iterable[str],
) -> dict[str, LicensedComponent]:
    """The components; ``intact`` is false for each of ``repos`` whose bytes are not the pinned ones."""
    found = dict(components)
    for repo in sorted(set(repos) & set(found) & set(pinned)):
        if not _is_intact(house, pinned[repo]):
            found[repo] = replace(found[repo], intact=False)
    return found


def _is_intact(house: House, record: PinRecord) -> bool:
    try:
        return not verify_files(str(root_of(house, record)), record.pin.files)
    except UnknownName:
        return False
