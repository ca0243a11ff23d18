"""Components and pins for licence tests: pinned, licensed under Apache-2.0 by text, and in order by default."""

from dataclasses import replace
from functools import cache
from typing import Any

from policy.stacks import Role
from policy.uses import Act, IntendedUse, Organisation
from registry.catalogue import Catalogue, load_catalogue
from registry.licences.claims import Claim, ClaimKind, Edge, LicensedComponent
from registry.licences.terms import EdgeKind, LicenceTerms

COMMIT = "a" * 40


@cache
def catalogue() -> Catalogue:
    return load_catalogue()


def make_component(licence: str = "apache-2.0", **changes: Any) -> LicensedComponent:
    component = LicensedComponent(
        repo=f"studio/{licence or 'unlicensed'}",
        role=Role.BASE,
        revision=COMMIT,
        pinned=True,
        licence_texts=(licence,) if licence else (),
    )
    return replace(component, **changes)


def make_lora(
    licence: str = "apache-2.0", parent: LicensedComponent | None = None, **changes: Any
) -> LicensedComponent:
    parent = parent or make_component()
    edge = Edge(kind=EdgeKind.ADAPTER_OF, to=parent.repo, parent=parent)
    made = make_component(
        licence, repo=f"studio/{licence or 'unlicensed'}-lora", role=Role.LORA, edges=(edge,)
    )
    return replace(made, **changes)


def make_use(act: Act = Act.SHIP_OUTPUT_COMMERCIAL, **changes: Any) -> IntendedUse:
    organisation = Organisation(
        name="Small Studio", annual_revenue_usd=250_000, domicile="DE", kind="company"
    )
    return replace(IntendedUse(act=act, organisation=organisation, territories=("WORLD",)), **changes)


def small_use(act: Act, licence: str = "", **organisation: Any) -> IntendedUse:
    """A small user in the United States of whom everything is known, with all evidence a licence asks for."""
    known: dict[str, Any] = {
        "name": "Small Studio",
        "annual_revenue_usd": 250_000,
        "group_revenue_usd": 250_000,
        "mau": 1_000,
        "monthly_visits": 1_000,
        "domicile": "US",
        "kind": "company",
    }
    shown = catalogue().terms[licence].evidence if licence else ()
    return IntendedUse(
        act=act,
        organisation=Organisation(**(known | organisation)),
        territories=("US",),
        evidence=tuple(needed.id for needed in shown),
    )


def tag(value: str) -> Claim:
    return Claim(kind=ClaimKind.HUB_TAG, value=value, path="README.md")


def make_terms(licence: str = "apache-2.0", **changes: Any) -> dict[str, LicenceTerms]:
    """The built-in terms with one licence changed."""
    terms = dict(catalogue().terms)
    terms[licence] = replace(terms[licence], **changes)
    return terms
