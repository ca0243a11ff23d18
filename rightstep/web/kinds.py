"""Every way in which a request can fail: its stable code, its status, its title; and which error is which."""

from dataclasses import dataclass

from policy.access import AccessCode
from policy.errors import (
    AuditFault,
    FormatFault,
    IntegrityFault,
    LedgerFault,
    ManifestRejected,
    Refused,
    RenderFault,
    RequestKeyReused,
    RightstepError,
    ServiceFault,
    StorageFault,
    UnknownName,
    WrongMoment,
    WrongUse,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of failure; its type is ``urn:rightstep:problem:CODE`` for ever."""

    code: str
    status: int
    title: str

    @property
    def urn(self) -> str:
        return f"urn:rightstep:problem:{self.code}"


# The order itself.
REFUSED = Kind(code="refused", status=422, title="Policy or a licence refused the order")
WRONG_ORDER = Kind(code="wrong-order", status=422, title="The order asks for what is not here")
MANIFEST_REJECTED = Kind(code="manifest-rejected", status=400, title="This manifest cannot be read")
WRONG_USE = Kind(code="wrong-use", status=422, title="That cannot be meant")
INVALID_REQUEST = Kind(code="invalid-request", status=422, title="A part of the request is out of bounds")
KEY_REUSED = Kind(
    code="idempotency-key-reused", status=422, title="This idempotency key stands for another request"
)
# What it speaks of.
UNKNOWN_NAME = Kind(code="unknown-name", status=404, title="No such name")
NO_SUCH_PATH = Kind(code="no-such-path", status=404, title="Nothing is here")
WRONG_METHOD = Kind(code="wrong-method", status=405, title="This path does not do that")
WRONG_MOMENT = Kind(code="wrong-moment", status=409, title="The job is not where that could be done")
SESSION_UNKNOWN = Kind(code="session-unknown", status=404, title="No such live session")
# Its form.
MALFORMED = Kind(code="malformed-request", status=400, title="This request cannot be read")
TOO_LARGE = Kind(code="body-too-large", status=413, title="The body is too large")
PATH_TOO_LONG = Kind(code="path-too-long", status=414, title="The path is too long")
MEDIA_TYPE = Kind(code="unsupported-media-type", status=415, title="This format is not read here")
RANGE = Kind(code="range-not-satisfiable", status=416, title="The file has no such part")
HEADERS_TOO_LARGE = Kind(code="headers-too-large", status=431, title="The headers are too large")
# Who asks.
KEY_MISSING = Kind(code="key-missing", status=401, title="A key is needed")
KEY_UNKNOWN = Kind(code="key-unknown", status=401, title="The key opens nothing here")
KEY_REVOKED = Kind(code="key-revoked", status=401, title="The key was revoked")
KEY_EXPIRED = Kind(code="key-expired", status=401, title="The key has expired")
SCOPE_MISSING = Kind(code="scope-missing", status=403, title="The key does not open this")
FOREIGN_PAGE = Kind(code="foreign-page", status=403, title="A page of another site asks")
TOO_MANY = Kind(code="too-many-requests", status=429, title="Too many requests")
# The house.
NO_HOUSE = Kind(code="no-standing-house", status=503, title="No standing house takes orders")
NOT_ANSWERING = Kind(code="service-down", status=503, title="A service did not answer")
BUSY = Kind(code="busy", status=503, title="As many wait as may wait")
TOO_LATE = Kind(code="too-late", status=504, title="The time that the request allowed is over")
NO_ROOM = Kind(code="storage-fault", status=503, title="Bytes could not be kept")
BROKEN = Kind(code="broken", status=500, title="Something is broken here")

KINDS: tuple[Kind, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Kind))


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What an error of ours becomes, and whether its words may leave the house."""

    error: type[RightstepError]
    kind: Kind
    in_full: bool  # false: its message may name files and addresses, and goes into the log alone


# The first that fits is taken.
ERRORS: tuple[Told, ...] = (
    Told(error=Refused, kind=REFUSED, in_full=True),
    Told(error=ManifestRejected, kind=MANIFEST_REJECTED, in_full=True),
    Told(error=UnknownName, kind=UNKNOWN_NAME, in_full=True),
    Told(error=RequestKeyReused, kind=KEY_REUSED, in_full=True),
    Told(error=WrongUse, kind=WRONG_USE, in_full=True),
    Told(error=WrongMoment, kind=WRONG_MOMENT, in_full=True),
    Told(error=LedgerFault, kind=NOT_ANSWERING, in_full=False),
    Told(error=ServiceFault, kind=NOT_ANSWERING, in_full=False),
    Told(error=StorageFault, kind=NO_ROOM, in_full=False),
    Told(error=IntegrityFault, kind=BROKEN, in_full=False),
    Told(error=FormatFault, kind=BROKEN, in_full=False),
    Told(error=RenderFault, kind=BROKEN, in_full=False),
    Told(error=AuditFault, kind=BROKEN, in_full=False),
    Told(error=RightstepError, kind=BROKEN, in_full=False),
)

ACCESS: dict[AccessCode, Kind] = {
    AccessCode.KEY_MISSING: KEY_MISSING,
    AccessCode.KEY_UNKNOWN: KEY_UNKNOWN,
    AccessCode.KEY_REVOKED: KEY_REVOKED,
    AccessCode.KEY_EXPIRED: KEY_EXPIRED,
    AccessCode.SCOPE_MISSING: SCOPE_MISSING,
}

# What the framework itself answers, by status.
OF_STATUS: dict[int, Kind] = {404: NO_SUCH_PATH, 405: WRONG_METHOD}


def told(error: RightstepError) -> Told:
    """What an error of ours becomes."""
    return next(known for known in ERRORS if isinstance(error, known.error))
