"""The header ``Idempotency-Key``: a client's own name for a request that may come twice."""

import re
from typing import Annotated

from fastapi import Header

from registry.requests import RequestKey
from rightstep.web.kinds import MALFORMED
from rightstep.web.problems import Failed, Trouble

# A structured string (RFC 8941), or the same without its quotes.
USABLE = re.compile(r'"([ !#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255})')

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="A name of your own for this request: sent again with the same body, it is the same job.",
        examples=['"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
    ),
]


def request_key(client: str, given: str, fingerprint: str) -> RequestKey:
    """The key of a client's request, by the header and what was asked; Failed where the header is no name."""
    found = USABLE.fullmatch(given)
    if found is None:
        detail = "The header idempotency-key is no text of 1 to 255 printable characters."
        raise Failed(Trouble(kind=MALFORMED, detail=detail, next_step="Send a UUID in quotes."))
    return RequestKey(client=client, key=found[1] or found[2], fingerprint=fingerprint)
