"""Which worker is barred from the rest of a job: one that fails batch after batch that others can make. Pure.

A failure speaks against a worker only where nothing else explains it: not the batch, which
failed on another worker too and was made by none, and not its stack, which nobody made since.
So neither a bad shot nor a stack that fails everywhere costs a worker, and a night on
which everything fails costs none.
"""

from collections.abc import Callable
from dataclasses import dataclass

from policy.wording import plural

FAILURES = 3  # in a row, with nothing made between, that bar a worker; one that fails now and then is kept
BATCHES = 2  # different ones among them: one batch that fails again and again says nothing of a worker


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A batch of which a worker made nothing, and who else tried."""

    batch: int
    stack_id: str
    failed_elsewhere: bool  # on another worker too
    made_elsewhere: bool  # by another worker, before or after
    stack_stands: bool  # another worker made batches of its stack since this row of failures began


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """A worker that fails, as these rules see it."""

    worker: str
    failures: tuple[Failure, ...]  # since it last made anything
    made: frozenset[str]  # stacks that it made before
    others: int  # workers beside it that take work


Excuse = Callable[[Failure], bool]
Rule = Callable[[Suspect], str]


def batch_fails_elsewhere_too(failure: Failure) -> bool:
    """Whoever tried this batch failed: it is the batch's fault, as far as anybody knows."""
    return failure.failed_elsewhere and not failure.made_elsewhere


def nobody_makes_the_stack(failure: Failure) -> bool:
    """A stack that no other worker makes either may be broken itself, or all of the farm is."""
    return not failure.stack_stands and not failure.made_elsewhere


EXCUSES: tuple[Excuse, ...] = (batch_fails_elsewhere_too, nobody_makes_the_stack)


def blamed(suspect: Suspect) -> tuple[Failure, ...]:
    """The failures that nothing excuses."""
    return tuple(one for one in suspect.failures if not any(excuse(one) for excuse in EXCUSES))


def failed_too_little(suspect: Suspect) -> str:
    """Everybody fails now and then."""
    count = len(blamed(suspect))
    return f"{plural(count, 'failure')} in a row, fewer than {FAILURES}" if count < FAILURES else ""


def failed_one_batch(suspect: Suspect) -> str:
    """The same batch again and again."""
    count = len({one.batch for one in blamed(suspect)})
    return f"{plural(count, 'different batch')} only" if count < BATCHES else ""


def cannot_hold_the_stack(suspect: Suspect) -> str:
    """It makes other stacks: it is kept from this one, and needs to be kept from nothing else."""
    failing = {one.stack_id for one in blamed(suspect)}
    is_one = bool(suspect.made) and len(failing) == 1 and not failing & suspect.made
    return "it makes other stacks" if is_one else ""


def is_the_last(suspect: Suspect) -> str:
    """A bad worker is better than none."""
    return "" if suspect.others else "nobody else is left"


RULES: tuple[Rule, ...] = (failed_too_little, failed_one_batch, cannot_hold_the_stack, is_the_last)


def why_kept(suspect: Suspect) -> str:
    """The first rule that keeps a worker; "" where it has to be barred."""
    return next((told for rule in RULES if (told := rule(suspect))), "")


def why_barred(suspect: Suspect) -> str:
    """The sentence that stands in the list of workers and in the audit log."""
    failures = blamed(suspect)
    batches = len({one.batch for one in failures})
    return (
        f"It failed {len(failures)} times in a row, on {plural(batches, 'batch')}, "
        "while others made the same."
    )
