"""How much work the ledger holds now: a few counts, for whoever watches the house."""

from flows.bootstrap import House
from registry.records import WorkCounts
from registry.unit_of_work import unit_of_work


def count_work(house: House) -> WorkCounts:
    """Jobs by state, and the shots that are still to be made; LedgerFault where it does not answer."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.ledger.standing_work()
