"""When a night over several device classes ends, and who takes what of it.

What a batch costs depends on who takes it. Worker after worker takes, from what is left
in the order of the night, batches until the next one would end too late; the end is the
earliest one by which nothing is left, whichever device chooses first and from whichever
end of the night. So nobody has to take anything: a slow worker near the end stands idle.

Another worker, a quicker one, a cheaper batch and more time can only help, whoever they
come to. Where less is left to a worker, it leaves less: a batch that it does not take from
the shorter list it would not have taken from the longer one, since it would have reached
it later. Every worker keeps its own share at the 95th percentile, which is that of the sum
of its batches, with the error of a profile shared by all of them. Devices are not taken to
make up for each other's bad luck, which errs on the late side.

One device class alone is counted as ``finish_of`` does, and the rest of the fleet may
always stand idle: a group that is added never makes a night end later.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from policy.finish import Z95, Family, Finish, Work, device_seconds, finish_of

CLOSE = 1e-9  # relative: two ends nearer than that are one
LONGEST = 2.0**60  # seconds: what does not end by then does not end


@dataclass(frozen=True, kw_only=True, slots=True)
class Team:
    """Workers of one device class, and what the night's batches take there.

    All teams have the same batches in the same order; what a device cannot take takes it
    infinitely long.
    """

    device: str
    workers: int
    load_seconds: float
    works: tuple[Work, ...]

    @property
    def can_take_all(self) -> bool:
        return all(math.isfinite(run.p50) for work in self.works for run in work.runs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """When it ends, and what each team does until then, in the order of the teams."""

    finish: Finish
    shares: tuple[tuple[Work, ...], ...]


def ending_of(teams: Sequence[Team], within: float | None = None) -> Ending:
    """The earliest end (p95): by one team alone, or by all. ``within`` is kept where it can be."""
    if len(teams) == 1:
        return _alone(teams, 0)
    best = _together(teams, within)
    for number, team in enumerate(teams):
        if team.can_take_all and least_end((team,)) < best.finish.p95:
            best = min(best, _alone(teams, number), key=lambda ending: ending.finish.p95)
    return best


def ends_within(teams: Sequence[Team], seconds: float) -> bool:
    """Whether ``ending_of`` ends by then (p95), without looking for the end itself."""
    if least_end(teams) > seconds:
        return False
    if len(teams) > 1 and any(
        _Night(arranged, sure=True).placed(seconds) is not None for arranged in _arrangements(teams)
    ):
        return True
    return any(least_end((team,)) <= seconds and _alone_finish(team).p95 <= seconds for team in teams)


def least_end(teams: Sequence[Team]) -> float:
    """Seconds before which no assignment of the batches ends (p95): spares looking for one.

    Weigh an hour of each device so that an hour of the fleet is 1: then no batch weighs
    less than where it is lightest. Devices are weighed by how long all of it takes there.
    """
    costs = [_certain_seconds(team) for team in teams]
    batches = [run.batches for work in teams[0].works for run in work.runs]
    whole = [
        math.fsum(count * each for count, each in zip(batches, cost, strict=True) if math.isfinite(each))
        for cost in costs
    ]
    weights = [1 / seconds if seconds > 0 else 0.0 for seconds in whole]
    fleet = math.fsum(team.workers * weight for team, weight in zip(teams, weights, strict=True))
    if fleet <= 0:
        return 0.0
    lightest = (
        count
        * min(
            (weight * each for weight, each in zip(weights, run, strict=True) if math.isfinite(each)),
            default=0.0,
        )
        for count, run in zip(batches, zip(*costs, strict=True), strict=True)
    )
    return math.fsum(lightest) / fleet * (1 - CLOSE)


def _certain_seconds(team: Team) -> list[float]:
    """What a batch of each run adds at the least to whoever takes it, its part of a shared error included."""
    families = math.sqrt(max(len({work.family for work in team.works}), 1))
    return [run.p50 * (1 + Z95 * work.error / families) for work in team.works for run in work.runs]


def whole_seconds(ending: Ending) -> Finish:
    """Device seconds of all shares, as a band."""
    return device_seconds([work for share in ending.shares for work in share])


def _alone(teams: Sequence[Team], number: int) -> Ending:
    shares = tuple(team.works if place == number else () for place, team in enumerate(teams))
    return Ending(finish=_alone_finish(teams[number]), shares=shares)


def _alone_finish(team: Team) -> Finish:
    if not team.workers or not team.can_take_all:
        return Finish(p50=math.inf, p95=math.inf)
    return finish_of(team.works, team.workers, team.load_seconds)


def _arrangements(teams: Sequence[Team]) -> tuple[tuple[Team, ...], ...]:
    """Who chooses first, and from which end of the night: both ways of each, since either may end earlier."""
    there = tuple(teams)
    back = tuple(replace(team, works=_backwards(team.works)) for team in there)
    return there, there[::-1], back, back[::-1]


def _backwards(works: Sequence[Work]) -> tuple[Work, ...]:
    return tuple(replace(work, runs=work.runs[::-1]) for work in works[::-1])


def _together(teams: Sequence[Team], within: float | None) -> Ending:
    best = math.inf
    chosen = tuple(teams)
    for arranged in _arrangements(teams):
        night = _Night(arranged, sure=True)
        if math.isinf(best):
            best = night.earliest(within)[0]
            chosen = arranged
        elif night.placed(best * (1 - CLOSE)) is not None:
            best = night.earliest(best)[0]
            chosen = arranged
    p50, taken = _Night(chosen, sure=False).earliest(None)
    shares = {team.device: _taken(team, counts) for team, counts in zip(chosen, taken, strict=True)}
    return Ending(
        finish=Finish(p50=p50, p95=max(p50, best)), shares=tuple(shares[team.device] for team in teams)
    )


def _taken(team: Team, counts: Sequence[int]) -> tuple[Work, ...]:
    """The works of a team with the batches that it takes of each run."""
    left = iter(counts)
    works = (
        replace(
            work,
            runs=tuple(replace(run, batches=count) for run in work.runs if (count := next(left))),
        )
        for work in team.works
    )
    return tuple(work for work in works if work.runs)


@dataclass(frozen=True, slots=True)
class _Item:
    """Equal batches of one run on one device."""

    p50: float
    odd: float  # variance of a batch's own
    family: Family
    error: float
    stack_id: str


@dataclass(slots=True)
class _Tally:
    """What one worker has taken so far."""

    seconds: float = 0.0  # loads included
    odd: float = 0.0
    squares: float = 0.0  # of what families are off by
    families: dict[Family, float] = field(default_factory=lambda: defaultdict[Family, float](float))
    stack_id: str = ""

    def take(self, item: _Item, batches: int, load_seconds: float) -> None:
        self.seconds += batches * item.p50 + (load_seconds if item.stack_id != self.stack_id else 0.0)
        self.odd += batches * item.odd
        before = self.families[item.family]
        after = before + batches * item.p50 * item.error
        self.families[item.family] = after
        self.squares += after * after - before * before
        self.stack_id = item.stack_id


class _Night:
    """The batches of a night, and how they fall to workers by some time."""

    def __init__(self, teams: Sequence[Team], *, sure: bool) -> None:
        """``sure``: a worker's share ends in time at the 95th percentile, not at the median."""
        self._teams = teams
        self._sure = sure
        self._batches = [run.batches for work in teams[0].works for run in work.runs]
        self._items = [
            [
                _Item(run.p50, ((run.p95 - run.p50) / Z95) ** 2, work.family, work.error, work.stack_id)
                if math.isfinite(run.p50)
                else None
                for work in team.works
                for run in work.runs
            ]
            for team in teams
        ]

    def earliest(self, within: float | None) -> tuple[float, list[list[int]]]:
        """The earliest end, and the batches of each run that each team takes until then."""
        high = self._scale() if within is None else within
        best = self.placed(high)
        while best is None and high < LONGEST:
            high *= 2
            best = self.placed(high)
        if best is None:
            return math.inf, [[0] * len(self._batches) for _ in self._teams]
        low = 0.0
        while best[0] - low > CLOSE * best[0]:
            middle = (low + best[0]) / 2
            found = self.placed(middle)
            if found is None:
                low = middle
            else:
                best = found
        return best

    def _scale(self) -> float:
        """A time of about the right size to begin with."""
        each = [
            batches * min((item.p50 for item in items if item is not None), default=0.0)
            for batches, *items in zip(self._batches, *self._items, strict=True)
        ]
        workers = sum(team.workers for team in self._teams)
        return max(math.fsum(each) / max(workers, 1), 1e-3)

    def placed(self, limit: float) -> tuple[float, list[list[int]]] | None:
        """When the last worker is done and what each team took, if all is taken by ``limit``; else None."""
        left = list(self._batches)
        end = 0.0
        taken: list[list[int]] = []
        for team, items in zip(self._teams, self._items, strict=True):
            counts = [0] * len(left)
            end = max(end, self._fill(team, items, left, counts, limit))
            taken.append(counts)
        return None if any(left) else (end, taken)

    def _fill(
        self, team: Team, items: Sequence[_Item | None], left: list[int], counts: list[int], limit: float
    ) -> float:
        """Let a team take what it can by ``limit``; returns when its last worker is done."""
        free, end, start = team.workers, 0.0, 0
        while free:
            while start < len(left) and (not left[start] or items[start] is None):
                start += 1
            if start == len(left) or (item := items[start]) is None:
                break
            tally = _Tally()
            first = self._most(tally, item, left[start], team.load_seconds, limit)
            if not first:
                break  # nobody of this device has time for the next batch
            alike = min(free, (left[start] - 1) // first)  # workers with nothing but such batches
            if alike:
                end = max(end, self._cost(tally, item, first, team.load_seconds))
                free -= alike
                left[start] -= alike * first
                counts[start] += alike * first
                continue
            free -= 1
            end = max(end, self._walk(tally, items, start, left, counts, team.load_seconds, limit))
        return end

    def _walk(
        self,
        tally: _Tally,
        items: Sequence[_Item | None],
        start: int,
        left: list[int],
        counts: list[int],
        load: float,
        limit: float,
    ) -> float:
        """One worker takes from run after run until the next batch would end too late."""
        for place in range(start, len(left)):
            item = items[place]
            if item is None or not left[place]:
                continue
            most = self._most(tally, item, left[place], load, limit)
            stays = most < left[place]
            if most:
                tally.take(item, most, load)
                left[place] -= most
                counts[place] += most
            if stays:
                break
        return self._until(tally.seconds, tally.odd, tally.squares)

    def _most(self, tally: _Tally, item: _Item, left: int, load: float, limit: float) -> int:
        """How many of so many batches a worker has time for."""
        if self._cost(tally, item, left, load) <= limit:
            return left
        low, high = 0, left
        while high - low > 1:
            middle = (low + high) // 2
            if self._cost(tally, item, middle, load) <= limit:
                low = middle
            else:
                high = middle
        return low

    def _cost(self, tally: _Tally, item: _Item, batches: int, load: float) -> float:
        """When a worker is done that takes so many more batches."""
        seconds = tally.seconds + batches * item.p50 + (load if item.stack_id != tally.stack_id else 0.0)
        if not self._sure:
            return seconds
        before = tally.families.get(item.family, 0.0)
        after = before + batches * item.p50 * item.error
        return self._until(
            seconds, tally.odd + batches * item.odd, tally.squares + after * after - before * before
        )

    def _until(self, seconds: float, odd: float, squares: float) -> float:
        return seconds + Z95 * math.sqrt(odd + squares) if self._sure else seconds
