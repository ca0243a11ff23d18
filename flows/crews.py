"""The crew of a job: whoever takes work of it now, which is not always what the settings say."""

from collections import Counter
from dataclasses import replace

from flows.bootstrap import House
from policy.costs import DeviceGroup, Fleet
from registry.unit_of_work import UnitOfWork


def crew_of(house: House, work: UnitOfWork, job_id: str) -> Fleet:
    """What a job is rendered on: as its drivers tell, else as the settings say; with whom somebody added.

    A group of which nobody is left is left out, unless that is all of them: whoever resumes
    the job starts anew.
    """
    usual = house.settings.fleet
    told = dict(work.ledger.crew_at_work(job_id))
    crew = Counter(told or {group.device: group.workers for group in usual.groups})
    crew.update(dict(work.ledger.awaited_workers(job_id)))
    known = {group.device: group for group in usual.groups}
    groups = tuple(
        replace(known.get(device, DeviceGroup(workers=0, device=device)), workers=workers)
        for device, workers in crew.items()
        if workers > 0
    )
    return replace(usual, groups=groups or usual.groups).in_order
