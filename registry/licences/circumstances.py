"""What else is true of a use besides who does what: licences that were bought, and what the pipeline does."""

from dataclasses import dataclass
from datetime import date

from policy.uses import Act


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
class Pipeline:
    """What is done with outputs before anybody sees them; None: nobody said."""

    content_filter: bool | None = None
    ai_disclosure: bool | None = None
    removes_provenance_marking: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """Everything of that kind; the empty one is what may be assumed of anybody."""

    paid: tuple[PaidLicence, ...] = ()
    pipeline: Pipeline = Pipeline()


ORDINARY = Circumstances()
