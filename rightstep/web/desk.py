"""What every router gets: the house, who renders for it, and who is let in."""

from dataclasses import dataclass
from typing import Protocol

from flows.bootstrap import House
from flows.steps import require_standing_house, start_job
from policy.errors import ServiceFault
from rightstep.web.doors import Doorkeeper
from rightstep.web.kinds import NO_HOUSE
from rightstep.web.problems import Failed, Trouble


class Driver(Protocol):
    """Who renders submitted jobs."""

    def check(self) -> None:
        """ServiceFault where nobody would take a job now."""
        ...

    def start(self, job_id: str, *, again: bool = False) -> None:
        """See that somebody renders a job, and return at once; ``again`` for one whose driver may be gone."""
        ...


@dataclass(frozen=True, kw_only=True)
class StandingHouse:
    """The standing house of a home: the same that `rightstep up` starts."""

    house: House

    def check(self) -> None:
        require_standing_house(self.house)

    def start(self, job_id: str, *, again: bool = False) -> None:
        start_job(self.house, job_id, again=again)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One app's hands."""

    house: House
    driver: Driver
    doors: Doorkeeper

    def require_driver(self) -> None:
        """A clear 503 where nobody would render."""
        try:
            self.driver.check()
        except ServiceFault as error:
            raise Failed(_nobody("")) from error

    def start(self, job_id: str, *, again: bool = False) -> None:
        """Have a job rendered; where nobody takes it, it stays queued and the caller is told."""
        try:
            self.driver.start(job_id, again=again)
        except ServiceFault as error:
            raise Failed(_nobody(f" Job {job_id} is kept and waits.")) from error


def _nobody(what: str) -> Trouble:
    return Trouble(
        kind=NO_HOUSE,
        detail=f"No standing house takes orders.{what}",
        next_step="Ask whoever runs the house for: rightstep up. Then send the same again.",
        headers={"Retry-After": "30"},
    )
