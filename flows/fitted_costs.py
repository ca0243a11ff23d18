"""What pictures cost here: fitted from measured batches, before the priors that came with the installation.

Every batch that settles is another sample. A fit from all of them is made anew for whoever plans a night;
an order that somebody waits for takes the latest one until enough batches came on top to change it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from policy.costs import CostProfile, CostSample, fit_profile, profile_for
from registry.unit_of_work import UnitOfWork

PRIOR_SAMPLES = 3  # batches of a key before its own measurements replace the prior
FRESH_SHARE = 8  # a fit stands until an eighth as many batches came on top of those that it was made from


def fit_costs(samples: Sequence[CostSample], priors: tuple[CostProfile, ...]) -> tuple[CostProfile, ...]:
    """A profile of each key that was measured often enough, then the priors."""
    fitted: list[CostProfile] = []
    for _, group in groupby(sorted(samples, key=_name), key=_name):
        taken = tuple(group)
        if len(taken) >= PRIOR_SAMPLES:
            fitted.append(fit_profile(taken, profile_for(priors, taken[0].key)))
    return (*fitted, *priors)


def _name(sample: CostSample) -> tuple[str, ...]:
    key = sample.key
    size = (str(key.width), str(key.height), str(key.frames))
    return (key.stack_id, key.pipeline, key.device, key.cached_by, *size)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fit:
    """Costs as they were fitted, with what is needed to see how many batches came since."""

    costs: tuple[CostProfile, ...]
    newest: datetime  # when the newest batch of the fit was settled
    at_newest: int  # batches that had been settled at that very moment or later
    due: int  # batches on top that call for another fit


class KeptCosts:
    """The latest fit of one database; shared by threads, since a fit is only ever replaced."""

    def __init__(self, priors: tuple[CostProfile, ...]) -> None:
        self._priors = priors
        self._fit: _Fit | None = None

    def at(self, work: UnitOfWork) -> tuple[CostProfile, ...]:
        """Costs that are at most some batches old: three, or an eighth of those that were fitted."""
        fit = self._fit
        if fit is None or self._is_due(work, fit):
            fit = self._fit = self._made(work)
        return fit.costs

    def _is_due(self, work: UnitOfWork, fit: _Fit) -> bool:
        wanted = fit.at_newest + fit.due
        return work.ledger.settled_since(fit.newest, at_most=wanted) >= wanted

    def _made(self, work: UnitOfWork) -> _Fit:
        samples, newest = work.ledger.cost_samples(), work.ledger.last_settled()
        return _Fit(
            costs=fit_costs(samples, self._priors),
            newest=newest,
            at_newest=work.ledger.settled_since(newest, at_most=len(samples) + 1),
            due=max(PRIOR_SAMPLES, len(samples) // FRESH_SHARE),
        )
