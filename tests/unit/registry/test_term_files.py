"""The built-in term files: complete, read in their texts, and refused when malformed."""

import re
import tomllib
from typing import Any

import pytest

from policy.errors import FormatFault, UnknownName
from policy.uses import Act
from policy.verdicts import Ruling
from registry.catalogue import BUILTIN
from registry.licences.evaluation import evaluate
from registry.licences.terms import Stance
from registry.licences.terms_parsing import parse_terms
from registry.licences.texts import normalised, normalised_sha256
from tests.unit.registry.licensing import catalogue, make_component, small_use

LICENCES = tuple(catalogue().terms)
READ = tuple(catalogue().texts)  # of the others no text is at hand
OBLIGATIONS = {
    "ai_disclosure",
    "attribution",
    "content_filter_or_review",
    "display_powered_by_stability",
    "licence_copy",
    "notice_file",
    "use_restrictions_flow_down",
}
P, R, D = Ruling.PERMIT, Ruling.REVIEW, Ruling.DENY

# Written from the texts. Columns: evaluate inside, research, charity, ship output, host for money, host for
# nothing, distribute weights, train on output. Share-alike weights need a stated outgoing licence. The user is
# small, in the United States, and shows whatever the text asks to be shown.
EXPECTED = {
    "apache-2.0": (P, P, P, P, P, P, P, P),
    "mit": (P, P, P, P, P, P, P, P),
    "cc-by-4.0": (P, P, P, P, P, P, P, P),
    "cc-by-sa-4.0": (P, P, R, R, R, R, D, R),
    "cc-by-nc-4.0": (R, P, P, D, D, P, R, D),
    "creativeml-openrail-m-2022-08-22": (P, P, P, P, P, P, P, P),
    "openrailpp-sd2-2022-11-24": (P, P, P, P, P, P, P, P),
    "openrailpp-sdxl-2023-07-26": (P, P, P, P, P, P, P, P),
    "cc-by-nc-sa-4.0": (R, P, P, D, D, P, D, D),
    "cogvideox-licence": (R, P, R, P, P, R, R, R),
    "faipl-1.0-sd": (P, P, P, P, P, P, D, P),
    "flux-dev-nc-2.0": (P, P, P, D, D, D, R, D),
    "flux1-dev-nc-1.0": (P, P, P, D, D, D, R, D),
    "flux1-dev-nc-1.1": (P, P, P, D, D, D, R, D),
    "flux1-dev-nc-1.1.1": (P, P, P, D, D, D, R, D),
    "bytedance-hypersd-rail-2024-04-11": (R, R, R, R, R, R, R, R),
    "gemma-tou-2024-04-01": (P, P, P, P, P, P, P, P),
    "gemma-tou-2025-03-24": (P, P, P, P, P, P, P, P),
    "kolors-model-licence-2024-07-06": (P, P, P, P, P, P, P, D),
    "llama-3.1-community-2024": (P, P, P, P, P, P, P, P),
    "ltx2-community-2026-01-05": (P, P, P, P, P, P, D, D),
    "ltx2x-community-2026-08-11": (P, P, P, P, P, P, D, D),
    "ltxv-0.9-rail-m-2024-11-22": (R, P, D, D, D, R, R, D),
    "ltxv-owl-2025-04-17": (P, P, P, P, P, P, P, P),
    "ltxv-owl-2025-05-05": (P, P, P, P, P, P, P, P),
    "minimax-h3": (R, R, R, R, R, R, R, R),
    "noobai-rider": (R, R, R, D, D, R, R, D),
    "nvidia-nsclv1": (R, R, R, D, D, R, R, D),
    "nvidia-open-model-2025-10-24": (P, P, P, P, P, P, P, P),
    "nvidia-open-model-2025-04-28": (P, P, P, P, P, P, P, P),
    "openmdw-1.0": (P, P, P, P, P, P, P, P),
    "playground-v2-community": (P, P, P, P, P, P, P, D),
    "qwen-2024": (P, P, P, P, P, P, P, P),
    "sai-community-2024-07-05": (P, P, P, P, P, P, P, D),
    "sai-nc-research-2023-11-28": (R, P, R, D, D, D, R, D),
    "sai-nc-research-2023-12-06": (R, P, R, D, D, D, R, D),
    "svd-nc-community-2023-11-21": (R, P, R, D, D, R, R, D),
    "tencent-hunyuan-3d-2.0": (P, P, P, P, P, P, P, D),
    "tencent-hunyuan-dit-2024-05-14": (P, P, P, P, P, P, P, R),
    "tencent-hunyuan-video-2024-12-03": (P, P, P, P, P, P, P, D),
    "tongyi-qianwen-2023": (P, P, P, P, R, R, P, D),
}


def minimal() -> dict[str, Any]:
    return tomllib.loads((BUILTIN / "licences" / "mit.toml").read_text())


def test_every_built_in_licence_has_an_expected_row():
    assert set(EXPECTED) == set(LICENCES)


@pytest.mark.parametrize("licence", LICENCES)
def test_every_act_is_ruled_as_the_text_reads(licence):
    found = tuple(
        evaluate([make_component(licence)], small_use(act, licence), catalogue().terms).ruling for act in Act
    )
    assert found == EXPECTED[licence]


@pytest.mark.parametrize("licence", READ)
def test_the_text_beside_a_term_file_is_the_one_it_was_read_from(licence):
    body = (BUILTIN / "licences" / "texts" / f"{licence}.txt").read_bytes()
    assert normalised_sha256(body) == catalogue().terms[licence].source.text_sha256


@pytest.mark.parametrize("licence", LICENCES)
def test_every_act_is_addressed_with_its_clause_and_was_read(licence):
    terms = catalogue().terms[licence]
    assert [term.act for term in terms.acts] == list(Act)
    assert all(term.clause and term.detail for term in terms.acts)
    assert {term.verified for term in terms.acts} == {licence in READ}
    assert terms.source.url.startswith("https://")
    assert terms.source.read_from


@pytest.mark.parametrize("licence", LICENCES)
def test_obligations_have_known_names_and_a_clause(licence):
    for duty in catalogue().terms[licence].duties:
        assert duty.id in OBLIGATIONS
        assert duty.clause
        assert duty.when
        assert "{component}" in duty.text


@pytest.mark.parametrize("licence", READ)
def test_every_quote_stands_in_the_text(licence):
    body = normalised(catalogue().texts[licence])
    for quote in catalogue().terms[licence].quotes:
        assert normalised(quote.words) in body, quote.clause


@pytest.mark.parametrize("licence", READ)
def test_whatever_forbids_or_limits_rests_on_a_quote(licence):
    terms = catalogue().terms[licence]
    quoted = {quote.clause for quote in terms.quotes}
    limits = [term.clause for term in terms.acts if term.stance is Stance.DENY]
    limits += [condition.clause for condition in terms.conditions]
    limits += [needed.clause for needed in terms.evidence]
    limits += [terms.territory.clause] if terms.territory.excluded else []
    assert quoted
    for clause in limits:
        assert any(
            re.search(rf"(^|[;,] |with | and ){re.escape(name)}($|[;,]| and )", clause) for name in quoted
        ), clause


def test_the_2022_openrail_asks_for_the_latest_version_and_the_later_ones_do_not():
    bindings = {licence: terms.updating.binding.value for licence, terms in catalogue().terms.items()}
    assert bindings["creativeml-openrail-m-2022-08-22"] == "latest_version_effort"
    assert (
        bindings["openrailpp-sdxl-2023-07-26"] == bindings["openrailpp-sd2-2022-11-24"] == "usage_restriction"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, "surprise is not understood"),
        ({"name": 3}, '"name" must be str'),
        ({"hub_tags": ["mit", 1]}, '"hub_tags" must be a list of texts'),
        (
            {"acts": [{"on": ["fly"], "stance": "allow", "clause": "1", "detail": "x"}]},
            '"on" cannot be "fly"',
        ),
        (
            {"acts": [{"on": ["charitable_use"], "stance": "deny", "clause": "1", "detail": "x"}]},
            '"code" is missing',
        ),
        ({"updating": {"binding": "perhaps"}}, '"binding" cannot be "perhaps"'),
        ({"source": {"url": "x"}}, '"read_from" is missing'),
        ({"source": "x"}, '"source" must be dict'),
        ({"acts": ["x"]}, '"acts" must be a list of tables'),
    ],
)
def test_a_slip_in_a_term_file_is_named(change, message):
    with pytest.raises(FormatFault, match=r"test\.toml") as fault:
        parse_terms(minimal() | change, "test.toml")
    assert message in str(fault.value)


@pytest.mark.parametrize("licence", sorted(set(LICENCES) - set(READ)))
def test_nothing_is_verified_of_a_text_that_is_not_at_hand(licence):
    terms = catalogue().terms[licence]
    facts = [*terms.acts, *terms.conditions, *terms.evidence, *terms.duties]
    facts += [terms.lineage, terms.restrictions, terms.outputs, terms.updating]
    facts += [terms.territory] if terms.territory.excluded else []
    assert not any(fact.verified for fact in facts)
    assert not terms.quotes
    with pytest.raises(UnknownName, match="not at hand"):
        catalogue().text_of(licence)


@pytest.mark.parametrize("licence", [one for one in LICENCES if catalogue().terms[one].model is not None])
def test_a_text_that_names_a_model_is_not_another_for_its_own_name(licence):
    model = catalogue().terms[licence].model
    assert not model.is_another([model.named.replace(", versions before 2.5", ".1")])


def test_an_act_spoken_of_twice_is_a_contradiction():
    entry = {"on": ["charitable_use"], "stance": "allow", "clause": "1", "detail": "x"}
    with pytest.raises(FormatFault, match="spoken of twice"):
        parse_terms(minimal() | {"acts": [entry, entry]}, "test.toml")


def test_a_fact_without_a_mark_is_unverified():
    entry = {"on": ["charitable_use"], "stance": "allow", "clause": "1", "detail": "x"}
    terms = parse_terms(minimal() | {"acts": [entry]}, "test.toml")
    assert terms.acts[0].stance is Stance.ALLOW
    assert not terms.acts[0].verified


@pytest.mark.parametrize(
    "condition",
    [
        {"attribute": "annual_revenue_usd", "comparison": "in", "value": ["x"]},
        {"attribute": "kind", "comparison": "<=", "value": 3},
        {"attribute": "shoe_size", "comparison": "<=", "value": 3},
    ],
)
def test_a_condition_compares_like_with_like(condition):
    rest = {"id": "c", "if_false": "deny", "code": "x", "clause": "1", "detail": "x"}
    with pytest.raises(FormatFault, match="cannot be compared"):
        parse_terms(minimal() | {"conditions": [condition | rest]}, "test.toml")


def test_a_whole_term_file_is_understood():
    extra = """
[territory]
excluded = ["FR", "KR"]
clause = "5(c)"
verified = true

[[conditions]]
id = "cap"
attribute = "annual_revenue_usd"
comparison = "<="
value = 1_000_000
scope = "entity and affiliates"
acts = ["ship_output_commercial"]
if_false = "deny"
code = "revenue_cap_exceeded"
clause = "5"
detail = "Above USD 1M the licence ends."
remedy = "A paid licence."
verified = true

[[conditions]]
id = "kind"
attribute = "kind"
comparison = "not in"
value = ["military"]
if_false = "review"
code = "field_of_use"
clause = "6"
detail = "Not for everybody."

[[evidence]]
id = "some_registration"
acts = ["host_service_commercial"]
if_missing = "review"
code = "registration_missing"
clause = "3"
detail = "Register first."
"""
    terms = parse_terms(minimal() | tomllib.loads(extra), "test.toml")
    cap, kind = terms.conditions
    assert (cap.comparison.value, cap.value, cap.acts, cap.remedy) == (
        "<=",
        1_000_000,
        (Act.SHIP_OUTPUT_COMMERCIAL,),
        "A paid licence.",
    )
    assert (kind.value, kind.acts, kind.verified) == (("military",), tuple(Act), False)
    assert terms.evidence[0].acts == (Act.HOST_SERVICE_COMMERCIAL,)
    assert (terms.territory.excluded, terms.territory.verified) == (("FR", "KR"), True)
