"""Every error this product raises, under one root.

    RightstepError                  what went wrong, and what to do next
    ├── ManifestRejected            the order itself is malformed            (wrong use)
    ├── UnknownName                 a model, method, licence or job we lack  (wrong use)
    ├── WrongUse                    a command or setting that cannot be meant (wrong use)
    │   └── RequestKeyReused        an idempotency key came with another body  (wrong use)
    ├── Refused                     policy or licence said no, with reasons  (refused)
    ├── IntegrityFault              bytes are not the bytes that were pinned (broken)
    ├── FormatFault                  stored text is not what it claims to be (broken)
    ├── LedgerFault                 the database refused or is unreachable   (broken)
    │   └── WrongMoment             a job is not where that could be done    (broken)
    ├── RenderFault                 a renderer or worker failed              (broken)
    ├── StorageFault                bytes could not be kept                  (broken)
    ├── ServiceFault                Ray, Prefect or another service is down  (broken)
    └── AuditFault                  the audit chain does not hold            (broken)

Ray and Prefect move exceptions between processes by pickling their ``args``, so every
constructor takes positional arguments and hands all of them to ``super().__init__``.
"""

from policy.verdicts import Verdict


class RightstepError(Exception):
    """Root of the tree: a message for the reader, and the next step that would help."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class ManifestRejected(RightstepError):
    """The manifest cannot be read; the message names the file and the line or field."""


class UnknownName(RightstepError):
    """A name that the registry, the ledger or the catalogue does not hold."""


class WrongUse(RightstepError):
    """A request that no setting could make meaningful."""


class RequestKeyReused(WrongUse):
    """An idempotency key that stands for another request already; nothing was done."""


class IntegrityFault(RightstepError):
    """Bytes on disk differ from the pinned digest or size; nothing was loaded."""


class FormatFault(RightstepError):
    """A stored or received value does not have the shape it claims; nothing was guessed."""


class LedgerFault(RightstepError):
    """The ledger refused a transition or could not be reached; nothing was half-written."""


class WrongMoment(LedgerFault):
    """A job whose state does not allow what was asked, such as cancelling one that is over."""


class RenderFault(RightstepError):
    """A renderer could not load a stack or make a picture."""


class StorageFault(RightstepError):
    """A full disk, a lost or read-only mount: nothing was half-stored, and the shot is not to blame."""


class ServiceFault(RightstepError):
    """A service that the work needs (Ray, Prefect, PostgreSQL) did not answer."""


class AuditFault(RightstepError):
    """The audit log was changed, cut or reordered, or its guards are missing."""


class Refused(RightstepError):
    """A refusal that reached the edge: carries the whole verdict, with every reason."""

    def __init__(self, message: str, next_step: str = "", verdict: Verdict | None = None) -> None:
        super().__init__(message, next_step)
        self.args = (message, next_step, verdict)
        self.verdict = verdict
