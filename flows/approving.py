"""Asking for approval and giving it: who asks, what exactly is asked, who answers on which evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from flows.attachments import read_attachments
from flows.bootstrap import House
from flows.identities import signatory
from flows.manifest_files import load_manifest
from flows.planning import Overrides, apply_overrides, menu_for, shelf_of
from flows.shipping import gather, make_evidence, stack_verdict
from policy.approvals import (
    Approval,
    ApprovalKind,
    ApprovalRequest,
    Grant,
    Purchase,
    Signer,
    objections,
    reason_name,
)
from policy.errors import WrongUse
from policy.gates import every_licence_permits_today, no_quality_hold_is_open
from policy.menu import Offer
from policy.uses import Act
from policy.verdicts import Reason, Ruling
from registry.unit_of_work import unit_of_work


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What an order or a job leaves open for a person: one stack, one act, every reason."""

    stack_id: str
    stack: str  # its name
    act: Act
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalShown:
    """An approval, waiver or grant, and whether it counts now."""

    record: Approval | Grant
    stands: bool
    objections: tuple[str, ...]  # why it does not


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalRecords:
    """Everything that was asked and answered."""

    requests: tuple[ApprovalRequest, ...]  # that nobody has answered
    approvals: tuple[ApprovalShown, ...]


def open_questions(house: House, order: str, use: Act | None = None) -> tuple[Question, ...]:
    """What a manifest's stacks, or a job at its shipment, leave to a person; denials are no questions."""
    path = Path(order)
    if path.suffix and path.is_file():
        return _of_manifest(house, path, use)
    return _of_job(house, order)


def barred_by_licence(
    house: House, order: str, repos: Sequence[str], use: Act | None = None
) -> tuple[Question, ...]:
    """The stacks of a manifest, or of a job, that use one of these models and are not permitted so far."""
    path = Path(order)
    if path.suffix and path.is_file():
        act, offers = _offers(house, path, use)
        verdicts = {offer.stack.stack_id: (offer.stack, offer.verdict) for offer in offers}
    else:
        goods = gather(house, order)
        act = goods.use.act
        verdicts = {
            stack_id: (stack, stack_verdict(house, goods, stack))
            for stack_id, (stack, _) in goods.stacks.items()
        }
    return tuple(
        Question(stack_id=stack_id, stack=stack.name, act=act, reasons=tuple(verdict.against()))
        for stack_id, (stack, verdict) in verdicts.items()
        if not verdict.is_permit and {pin.repo for pin in stack.pins} & set(repos)
    )


def _offers(house: House, path: Path, use: Act | None) -> tuple[Act, tuple[Offer, ...]]:
    manifest = apply_overrides(house, load_manifest(path, now=house.clock()), Overrides(use=use))
    return manifest.use.act, menu_for(house, manifest, shelf_of(house), house.clock()).offers


def _of_manifest(house: House, path: Path, use: Act | None) -> tuple[Question, ...]:
    act, offers = _offers(house, path, use)
    found = {
        offer.stack.stack_id: Question(
            stack_id=offer.stack.stack_id,
            stack=offer.stack.name,
            act=act,
            reasons=_open(offer.verdict.against()),
        )
        for offer in offers
        if offer.verdict.ruling is Ruling.REVIEW
    }
    return tuple(found.values())


def _of_job(house: House, job_id: str) -> tuple[Question, ...]:
    goods = gather(house, job_id)
    evidence = make_evidence(house, goods, {}, ())  # files and duties are no question for an approver
    found: list[Question] = []
    for stack in evidence.stacks:
        alone = replace(
            evidence,
            stacks=(stack,),
            holds=tuple(hold for hold in evidence.holds if hold.stack == stack.name),
        )
        verdicts = (every_licence_permits_today(alone), no_quality_hold_is_open(alone))
        reasons = tuple(reason for verdict in verdicts for reason in _open(verdict.against()))
        if reasons:
            found.append(
                Question(stack_id=stack.stack_id, stack=stack.name, act=goods.use.act, reasons=reasons)
            )
    return tuple(found)


def _open(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Reviews that can be answered; that an earlier answer does not count is no question itself."""
    return tuple(
        reason for reason in reasons if reason.ruling is Ruling.REVIEW and reason.code != "approval_void"
    )


def ask_for_approval(
    house: House, question: Question, *, kind: ApprovalKind, reason: str, requester: str | None
) -> ApprovalRequest:
    """Put a question to the approvers, signed with the requester's key; without one it is only claimed."""
    if not question.reasons:
        raise WrongUse("Nothing is under review there.", "Nothing has to be approved.")
    answers = tuple(sorted({reason_name(one) for one in question.reasons}))
    return _ask(house, question.stack_id, question.act, answers, None, (kind, reason, requester))


def ask_for_grant(
    house: House, barred: Question, paid: Purchase, *, reason: str, requester: str | None
) -> ApprovalRequest:
    """Ask that a paid licence be recorded for a stack and an act; WrongUse for a licence nobody knows."""
    if not paid.repos:
        raise WrongUse("A paid licence is for a model.", "Name its repository.")
    house.catalogue.terms_of(paid.licence)
    return _ask(house, barred.stack_id, barred.act, (), paid, (ApprovalKind.GRANT, reason, requester))


def _ask(
    house: House,
    stack_id: str,
    act: Act,
    answers: tuple[str, ...],
    paid: Purchase | None,
    asked: tuple[ApprovalKind, str, str | None],
) -> ApprovalRequest:
    kind, reason, requester = asked
    if not reason.strip():
        raise WrongUse("A request gives its reason.", "Say why it is needed.")
    by = None if requester is None else signatory(house, requester)
    signer = (
        Signer(name=house.settings.actor)
        if by is None
        else Signer(name=by.identity.name, key_id=by.key.key_id)
    )
    request = ApprovalRequest(
        request_id="",
        kind=kind,
        stack_id=stack_id,
        act=act,
        answers=answers,
        paid=paid,
        reason=reason,
        requester=signer,
        requested_at=house.clock(),
    )
    with unit_of_work(house.engine) as work:
        kept = work.approvals.ask(request, None if by is None else by.key)
        work.commit()
    return kept


def give_approval(
    house: House,
    request_id: str,
    *,
    approver: str,
    reason: str,
    evidence: Sequence[Path],
    valid_until: datetime,
) -> Approval | Grant:
    """Answer a request with the approver's own key; the files of evidence are kept by content."""
    by = signatory(house, approver)
    files = read_attachments(evidence)
    with unit_of_work(house.engine) as work:
        given = work.approvals.sign(
            work.approvals.request(request_id),
            by.identity,
            by.key,
            reason=reason,
            evidence=files,
            valid_until=valid_until,
            now=house.clock(),
        )
        work.commit()
    return given


def withdraw_approval(house: House, approval_id: str, reason: str) -> ApprovalShown:
    """End an approval, waiver or grant at once."""
    with unit_of_work(house.engine) as work:
        ended = work.approvals.withdraw(
            approval_id, actor=house.settings.actor, reason=reason, now=house.clock()
        )
        work.commit()
    return _shown(house, ended)


def list_approvals(house: House) -> ApprovalRecords:
    """Open requests, and every answer with whether it counts now."""
    with unit_of_work(house.engine, read_only=True) as work:
        requests, known = work.approvals.requests(is_open=True), work.approvals.known()
    return ApprovalRecords(requests=requests, approvals=tuple(_shown(house, one) for one in known))


def show_approval(house: House, approval_id: str) -> ApprovalShown:
    """One approval, waiver or grant, and whether it counts now."""
    with unit_of_work(house.engine, read_only=True) as work:
        return _shown(house, work.approvals.approval(approval_id))


def show_request(house: House, request_id: str) -> ApprovalRequest:
    """One request."""
    with unit_of_work(house.engine, read_only=True) as work:
        return work.approvals.request(request_id)


def _shown(house: House, record: Approval | Grant) -> ApprovalShown:
    against = objections(record, record.stack_id, record.act, house.clock())
    return ApprovalShown(record=record, stands=not against, objections=against)
