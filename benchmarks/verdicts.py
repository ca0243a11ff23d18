"""How long does a licence verdict on a stack of eight artefacts take, asked for the first time and again?"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from benchmarks.measurement import Figure, Measurement, at_most, plain, timed
from policy.costs import quantile
from policy.stacks import Role
from policy.uses import IntendedUse, Organisation
from registry.catalogue import load_catalogue
from registry.licences.case import make_case
from registry.licences.claims import Claim, ClaimKind, Edge, LicensedComponent
from registry.licences.evaluation import evaluate, findings_of, verdict_of
from registry.licences.identity import TermsById
from registry.licences.proof import prove
from registry.licences.remembered import RememberedVerdicts
from registry.licences.terms import EdgeKind

ASKED = 3000
COMMIT = "a1" * 20


def measure() -> Measurement:
    """Judge eight artefacts under eight licences, each question new; then the same question again."""
    terms = load_catalogue().terms
    stack = sample_stack()
    use = IntendedUse(
        organisation=Organisation(
            annual_revenue_usd=400_000, group_revenue_usd=400_000, mau=20_000, domicile="US"
        ),
        territories=("US", "JP"),
        on=date(2026, 1, 1),
        evidence=("stability_registration",),
    )
    cold = _seconds(lambda number: lambda: evaluate(stack, _on_day(use, number), terms))
    proved = _seconds(lambda number: lambda: _prove(stack, _on_day(use, number), terms))
    remembered = RememberedVerdicts(terms)
    remembered.judge(stack, use)
    warm = _seconds(lambda _: lambda: remembered.judge(stack, use))
    figures: tuple[Figure, ...] = (
        at_most("P13", "a verdict remembered (p99)", quantile(warm, 0.99) * 1000, 1.0, "ms"),
        at_most("P13", "a verdict asked for the first time (p99)", quantile(cold, 0.99) * 1000, 20.0, "ms"),
        plain("the same, middle of all", quantile(cold, 0.5) * 1000, "ms"),
        plain("with its proof down to the clause, middle of all", quantile(proved, 0.5) * 1000, "ms"),
    )
    return Measurement(
        question="How long does a licence verdict on a stack of eight artefacts take?",
        figures=figures,
        conditions=f"Eight artefacts under seven licences, three with a parent; {ASKED:,} questions.",
    )


def sample_stack() -> tuple[LicensedComponent, ...]:
    """A base, a refiner, three adapters, a VAE, a text encoder and an upscaler."""
    base = _part("lab/base", Role.BASE, "openrailpp-sdxl-2023-07-26", "openrail++")
    return (
        base,
        _part("lab/refiner", Role.REFINER, "creativeml-openrail-m-2022-08-22", "creativeml-openrail-m"),
        _part("lab/fast", Role.DISTILL_LORA, "openrailpp-sdxl-2023-07-26", "openrail++", base),
        _part("lab/style", Role.LORA, "faipl-1.0-sd", "other", base),
        _part("lab/control", Role.CONTROLNET, "apache-2.0", "apache-2.0", base),
        _part("lab/vae", Role.VAE, "mit", "mit"),
        _part("lab/words", Role.TEXT_ENCODER, "gemma-tou-2025-03-24", "gemma"),
        _part("lab/large", Role.UPSCALER, "sai-community-2024-07-05", "other"),
    )


def _part(
    repo: str, role: Role, licence: str, tag: str, parent: LicensedComponent | None = None
) -> LicensedComponent:
    edges = () if parent is None else (Edge(kind=EdgeKind.ADAPTER_OF, to=parent.repo, parent=parent),)
    return LicensedComponent(
        repo=repo,
        role=role,
        revision=COMMIT,
        pinned=True,
        claims=(Claim(kind=ClaimKind.HUB_TAG, value=tag),),
        licence_texts=(licence,),
        edges=edges,
    )


def _on_day(use: IntendedUse, number: int) -> IntendedUse:
    """Another day is another question."""
    return replace(use, on=date(2026, 1, 1) + timedelta(days=number))


def _prove(stack: tuple[LicensedComponent, ...], use: IntendedUse, terms: TermsById) -> object:
    case = make_case(stack, use, terms)
    findings = findings_of(case)
    return prove(case, findings, verdict_of(case, findings))


def _seconds(question: Callable[[int], Callable[[], object]]) -> list[float]:
    return sorted(timed(question(number)) for number in range(ASKED))
