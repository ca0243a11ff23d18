"""Described stacks as files of strangers: what is read, and what is refused naming file and place."""

from datetime import date
from pathlib import Path

import pytest

from policy.errors import WrongUse
from policy.stacks import Role
from policy.uses import Act, IntendedUse, Organisation
from registry.described_files import LARGEST, load_described
from registry.licences.described import DescribedStack
from registry.licences.described_artefacts import role_of
from tests.unit.registry.licensing import catalogue

WHOLE = """
stack:
- role: base
  repo: lab/base
  path: unet/model.safetensors
  revision: 1111111111111111111111111111111111111111
  claims: {hub_tag: [apache-2.0, mit], license_name: null, license_link: null}
  licence_texts: [apache-2.0]
  gated: auto
  gate_accepted: true
  same_sha256_as: [{repo: other/copy, path: file, hub_tag: mit, licence_texts: []}]
  drift: {main_licence_texts: [mit], same_weight_sha256: false, link_text: mit}
  conclusion: {licence_texts: [apache-2.0], scope: "unet/*", by: officer}
  civitai: {allowCommercialUse: [Image], allowDerivatives: true, allowNoCredit: false, snapshot: true}
  safetensors_metadata: {modelspec.license: MIT, modelspec.title: 3, ss_steps: [1, 2]}
  local_sha256_matches: true
  multi_section_licence_file: LICENSE.md
- role: lora
  repo: lab/style
  edges: [{type: adapter_of, to: lab/base}]
use:
  act: ship_output_commercial
  org: {annual_revenue_usd: 4e5, group_revenue_usd: 400000, mau: 20000, monthly_visits: null, domicile: NO, kind: company}
  territories: [NO, WORLD]
  evidence: [stability_registration]
  grants: [{licensor: Lab, repos: [lab/base], acts: [ship_output_commercial], valid_until: 2027-12-31, document_sha256: abc}]
  pipeline: {content_filter: true}
  outbound_licence: null
  on: 2026-11-23
"""
SMALL = "stack: [{role: base, repo: a/b}]\nuse: {act: evaluate_internal}\n"


def read(folder: Path, *texts: str | bytes, assumed: IntendedUse | None = None) -> tuple[DescribedStack, ...]:
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"stack-{number}.yaml")
        paths[-1].write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_described(paths, catalogue().origins, assumed or IntendedUse())


def test_every_key_of_a_description_is_read(tmp_path):
    (asked,) = read(tmp_path, WHOLE)
    base, lora = asked.components
    assert (base.role, base.revision, base.place) == (Role.BASE, "1" * 40, "lab/base/unet/model.safetensors")
    assert base.gated
    assert base.gate_accepted
    assert (base.copies[0].repo, base.copies[0].tags) == ("other/copy", ("mit",))
    assert (base.texts_on_main, base.texts_at_link, base.same_bytes_on_main) == (("mit",), ("mit",), False)
    assert (base.conclusions[0].scope, base.conclusions[0].concluded_by) == ("unet/*", "officer")
    assert base.flags is not None
    assert base.flags.commercial_use == ("Image",)
    assert not base.flags.allows_other_licence
    assert [claim.value for claim in base.claims] == ["apache-2.0", "mit", "MIT"]
    assert base.sections_in == "LICENSE.md"
    assert lora.edges[0].parent is not None
    assert lora.edges[0].parent.repo == "lab/base"
    use = asked.use
    assert (use.act, use.on, use.territories) == (
        Act.SHIP_OUTPUT_COMMERCIAL,
        date(2026, 11, 23),
        ("NO", "WORLD"),
    )
    assert use.organisation == Organisation(
        annual_revenue_usd=400_000, group_revenue_usd=400_000, mau=20_000, domicile="NO", kind="company"
    )
    assert asked.circumstances.paid[0].valid_until == date(2027, 12, 31)
    assert asked.circumstances.pipeline.content_filter is True
    assert asked.circumstances.pipeline.ai_disclosure is None


def test_several_files_and_documents_come_in_order(tmp_path):
    asked = read(tmp_path, f"{SMALL}---\n{WHOLE}", SMALL)
    assert [len(one.components) for one in asked] == [1, 2, 1]


def test_norway_is_a_country_and_on_is_a_key(tmp_path):
    (asked,) = read(
        tmp_path,
        SMALL.replace("}\n", ", territories: [NO], on: 2026-01-02}\n").replace(
            "a/b, territories: [NO], on: 2026-01-02}", "a/b}"
        ),
    )
    assert asked.use.territories == ("NO",)
    assert asked.use.on == date(2026, 1, 2)


def test_an_organisation_that_is_not_spoken_of_is_the_assumed_one(tmp_path):
    known = IntendedUse(organisation=Organisation(mau=7), on=date(2026, 1, 1))
    (silent,) = read(tmp_path, SMALL, assumed=known)
    assert silent.use.organisation.mau == 7
    assert silent.use.on == date(2026, 1, 1)
    (spoken,) = read(
        tmp_path, SMALL.replace("evaluate_internal}", "evaluate_internal, org: {}}"), assumed=known
    )
    assert spoken.use.organisation.mau is None


def test_a_parent_is_looked_for_in_the_stack_and_then_among_well_known_origins(tmp_path):
    text = SMALL.replace(
        "repo: a/b",
        "repo: a/b, edges: [{type: merge_of, to: black-forest-labs/FLUX.1-dev}, {type: merge_of, to: x/y}]",
    )
    (asked,) = read(tmp_path, text)
    known, unknown = asked.components[0].edges
    assert known.parent is not None
    assert known.parent.is_origin
    assert unknown.parent is None


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("text_encoder_2", Role.TEXT_ENCODER),
        ("runtime_code", Role.RUNTIME_CODE),
        ("lroa", Role.OTHER),
        ("vae", Role.VAE),
    ],
)
def test_a_role_that_nobody_knows_is_taken_for_nothing_harmless(word, role):
    assert role_of(word) is role


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no document"),
        ("- a list", "is not a table"),
        ("stack: []", '"use" is missing'),
        ("use: {act: evaluate_internal}", '"stack" is missing'),
        (f"{SMALL}surprise: 1", "surprise is not understood"),
        (SMALL.replace("a/b", "a/b, licence: mit"), "stack[1]: licence is not understood"),
        (SMALL.replace("repo: a/b", "rep: a/b"), 'stack[1]: "repo" is missing'),
        (SMALL.replace("evaluate_internal", "fly"), 'use: "act" cannot be "fly"'),
        (SMALL.replace("a/b", "a/b, licence_texts: mit"), '"licence_texts" must be list'),
        (SMALL.replace("a/b", "a/b, licence_texts: [null]"), '"licence_texts" must be a list of texts'),
        (SMALL.replace("a/b", "a/b, gate_accepted: yes"), '"gate_accepted" must be bool'),
        (SMALL.replace("a/b", "a/b, gated: perhaps"), '"gated" must be auto, manual or false'),
        (SMALL.replace("a/b", "a/b, edges: [{type: cousin_of, to: x/y}]"), 'edges[1]: "type" cannot be'),
        (SMALL.replace("a/b", "a/b, conclusion: {licence_texts: [], by: x}"), "names no licence"),
        (SMALL.replace("internal}", "internal, org: {mau: .nan}}"), "must be a whole number"),
        (SMALL.replace("internal}", "internal, org: {mau: .inf}}"), "must be a whole number"),
        (SMALL.replace("internal}", "internal, org: {mau: -1}}"), "must be a whole number"),
        (SMALL.replace("internal}", "internal, org: {mau: 1.5}}"), "must be a whole number"),
        (SMALL.replace("internal}", "internal, org: {mau: true}}"), '"mau" must be float'),
        (SMALL.replace("internal}", "internal, org: {domicile: XX}}"), '"domicile" cannot be "XX"'),
        (SMALL.replace("internal}", "internal, territories: [us]}"), '"territories" cannot have "us"'),
        (SMALL.replace("internal}", "internal, on: tomorrow}"), '"on" must be a date'),
        (SMALL.replace("internal}", "internal, act: research_noncommercial}"), '"act" is given twice'),
        (SMALL.replace("internal}", "internal, 3: 4}"), "is not a text"),
        (f"{SMALL}x: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: &a [*a]", "contains itself"),
        ("[" * 40 + "]" * 40, "nested too deeply"),
        (b"\xff\xfe\x00", "cannot be read"),
        ("a: b: c", "cannot be read"),
    ],
)
def test_a_malformed_description_is_refused_naming_the_place(tmp_path, text, told):
    with pytest.raises(WrongUse, match=r"stack-0\.yaml") as refused:
        read(tmp_path, text)
    assert told in str(refused.value)


def test_aliases_are_read_and_a_bomb_of_them_is_not(tmp_path):
    (asked,) = read(
        tmp_path,
        "stack: [{role: base, repo: a/b, licence_texts: &t [mit]}, {role: vae, repo: c/d, licence_texts: *t}]\nuse: {act: evaluate_internal}",
    )
    assert asked.components[1].licence_texts == ("mit",)
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{this}: &{this} [{', '.join([f'*{last}'] * 9)}]\n"
        for last, this in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(WrongUse, match="too much in it"):
        read(tmp_path, bomb)


def test_a_huge_file_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(WrongUse, match="larger than"):
        read(tmp_path, "#" * (LARGEST + 1))
    with pytest.raises(WrongUse, match="cannot be read"):
        load_described([tmp_path / "nowhere.yaml"], {}, IntendedUse())


def test_artefacts_that_all_come_from_each_other_are_refused_quickly(tmp_path):
    entries = "".join(
        f"- {{role: base, repo: a/{number}, edges: [{', '.join(f'{{type: merge_of, to: a/{to}}}' for to in range(25) if to != number)}]}}\n"
        for number in range(25)
    )
    with pytest.raises(WrongUse, match="in too many ways"):
        read(tmp_path, f"stack:\n{entries}use: {{act: evaluate_internal}}")
