"""What time it is for leases: the ledger's own, so that a wrong clock takes nothing from other drivers."""

import time
from datetime import datetime, timedelta

from flows.bootstrap import House
from registry.database import server_time


class LedgerClock:
    """The time of the database, carried on by the monotonic clock, which no correction of the time moves.

    An SQLite ledger has no clock, and no drivers on other machines: there it is the house's.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self.ask()

    def ask(self) -> None:
        """Ask the ledger again: a machine that slept does not know for how long."""
        self._told, self._since = server_time(self._house.engine), time.monotonic()

    def __call__(self) -> datetime:
        if self._told is None:
            return self._house.clock()
        return self._told + timedelta(seconds=time.monotonic() - self._since)
