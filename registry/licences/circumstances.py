"""What else is true of a use besides who does what: bought licences, and how outputs are delivered."""

from dataclasses import dataclass, field, replace
from datetime import date

from policy.uses import Act, Delivery, IntendedUse


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidLicence:
    """A licence that somebody bought: it stands in for the public one, for these repositories and acts."""

    licensor: str
    repos: tuple[str, ...]
    acts: tuple[Act, ...]
    document_sha256: str  # of the signed document; "" where none was filed
    valid_until: date | None = None  # the last day; None: without end

    def has_ended(self, day: date | None) -> bool:
        """Without a day to judge by, a licence that ends has ended."""
        return self.valid_until is not None and (day is None or day > self.valid_until)


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """Everything of that kind; the empty one is what may be assumed of anybody."""

    paid: tuple[PaidLicence, ...] = ()
    # Descriptions, and what was kept with shipments, have delivery under this name.
    pipeline: Delivery = field(default_factory=Delivery)


ORDINARY = Circumstances()


def as_stated(circumstances: Circumstances, use: IntendedUse) -> Circumstances:
    """The circumstances with what the context of a use says of delivery."""
    return replace(circumstances, pipeline=use.context.delivery)
