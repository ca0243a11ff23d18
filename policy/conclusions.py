"""What an approver signs who concludes something: which licence holds, or that a change upstream is harmless.

Each has a domain of its own, so that neither passes for the other, nor for an approval.
"""

from collections.abc import Sequence
from datetime import date, datetime

from policy.approvals import Evidence, Signer
from policy.checkpoints import signed_text
from policy.stacks import ModelPin

LICENCE_DOMAIN = "rightstep:licence-conclusion/v1"
DRIFT_DOMAIN = "rightstep:drift-conclusion/v1"


def licence_conclusion_message(
    pin: ModelPin,
    *,
    licences: Sequence[str],
    scope: str,
    reason: str,
    evidence: Sequence[Evidence],
    signer: Signer,
    concluded_at: datetime,
    valid_until: date | None,
) -> bytes:
    """The bytes that are signed: of which bytes, which licences, for which files, until when, on what."""
    return signed_text(
        LICENCE_DOMAIN,
        {
            "repo": pin.repo,
            "revision": pin.revision,
            "pin_id": pin.pin_id,
            "licences": list(licences),
            "scope": scope,
            "reason": reason,
            "evidence": [[one.name, one.sha256] for one in evidence],
            "concluded_by": signer.name,
            "key_id": signer.key_id,
            "concluded_at": concluded_at,
            "valid_until": valid_until,
        },
    )


def drift_conclusion_message(
    finding: dict[str, object], *, because: str, signer: Signer, concluded_at: datetime
) -> bytes:
    """The bytes that are signed: the whole finding as it is kept, and why it holds nothing back any more."""
    return signed_text(
        DRIFT_DOMAIN,
        {
            "finding": finding,
            "because": because,
            "concluded_by": signer.name,
            "key_id": signer.key_id,
            "concluded_at": concluded_at,
        },
    )
