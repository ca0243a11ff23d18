"""Bought licences: which one stands in for a public licence, and which ones almost would."""

import re
from collections.abc import Iterator, Sequence

from policy.uses import IntendedUse
from policy.verdicts import Reason, Ruling
from registry.licences.circumstances import PaidLicence
from registry.licences.terms import LicenceTerms

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMPANY = re.compile(r"\b(inc|incorporated|ltd|limited|llc|corp|corporation|gmbh|co)\b")


def bought(
    paid: Sequence[PaidLicence], licence: LicenceTerms, repo: str, use: IntendedUse
) -> PaidLicence | None:
    """The first that its seller could sell, that names the repository and the act, and that has not ended."""
    return next(
        (
            one
            for one in paid
            if _concerns(one, repo, use)
            and _is_sold_by(one, licence)
            and _has_document(one)
            and not one.has_ended(use.on)
        ),
        None,
    )


def grant_reasons(
    paid: Sequence[PaidLicence], licence: LicenceTerms, repo: str, place: str, use: IntendedUse
) -> Iterator[Reason]:
    """That one applies, or why one that names the repository and the act does not."""
    found = bought(paid, licence, repo, use)
    if found is not None:
        until = "without end" if found.valid_until is None else f"until {found.valid_until}"
        detail = (
            f"{found.licensor} granted it by a document of its own ({found.document_sha256[:12]}), {until}."
        )
        yield _reason("grant_applies", Ruling.PERMIT, detail, place, licence)
        return
    for one in paid:
        if not _concerns(one, repo, use):
            continue
        if not _is_sold_by(one, licence):
            detail = f"{one.licensor} is not who can license it otherwise: {', '.join(licence.licensor)}."
            yield _reason("grant_by_another_licensor", Ruling.PERMIT, detail, place, licence)
        elif not _has_document(one):
            detail = f"The licence of {one.licensor} has no document on file, so that nobody can show it."
            yield _reason("grant_document_missing", Ruling.REVIEW, detail, place, licence)
        elif one.has_ended(use.on):
            detail = f"The licence of {one.licensor} ended on {one.valid_until}; the public one applies."
            yield _reason("grant_expired", Ruling.PERMIT, detail, place, licence)


def _concerns(paid: PaidLicence, repo: str, use: IntendedUse) -> bool:
    return repo in paid.repos and use.act in paid.acts


def _is_sold_by(paid: PaidLicence, licence: LicenceTerms) -> bool:
    """A text used by many names no seller: then whoever signed the document is taken for one."""
    return not licence.licensor or _plain(paid.licensor) in {_plain(name) for name in licence.licensor}


def _has_document(paid: PaidLicence) -> bool:
    return _SHA256.fullmatch(paid.document_sha256) is not None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", _COMPANY.sub("", name.lower()))


def _reason(code: str, ruling: Ruling, detail: str, place: str, licence: LicenceTerms) -> Reason:
    return Reason(code=code, ruling=ruling, detail=detail, component=place, licence=licence.id)
