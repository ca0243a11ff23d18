"""From files to what the rules judge: roles, pins, claims, descent."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from policy.stacks import Role
from registry.components import PinnedClaims, claims_of, licensed_components, pin_of, role_of
from registry.licences.claims import ClaimKind, LicensedComponent
from registry.licences.evaluation import evaluate
from registry.licences.terms import EdgeKind
from registry.sources import DirectorySource
from tests.unit.registry.licensing import catalogue, make_use
from tests.unit.registry.shelf import EMPTY_WEIGHTS, put_repository

LORA_CARD = "license: apache-2.0\nbase_model: org/base"


def components(root: Path) -> dict[str, LicensedComponent]:
    source = DirectorySource(root)
    listings = [source.listing(repo) for repo in source.repositories()]
    records = [PinnedClaims(pin=pin_of(each, role_of(each, ())), claims=claims_of(each)) for each in listings]
    return licensed_components(records, catalogue().text_ids)


def test_a_folder_becomes_a_component_that_can_be_cleared(tmp_path):
    put_repository(tmp_path, "org/base")
    (component,) = components(tmp_path).values()
    assert component.licence_texts == ("apache-2.0",)
    assert evaluate([component], make_use(), catalogue().terms).is_permit


def test_a_licence_text_nobody_knows_stays_unknown(tmp_path):
    put_repository(
        tmp_path, "org/base", licence="", files={"LICENSE": b"You may.", "model.safetensors": EMPTY_WEIGHTS}
    )
    (component,) = components(tmp_path).values()
    (licence,) = component.licence_texts
    assert licence.startswith("unknown:")
    assert not evaluate([component], make_use(), catalogue().terms).is_permit


def test_claims_are_kept_as_they_were_found(tmp_path):
    put_repository(
        tmp_path,
        "org/lora",
        card="license: other\nlicense_name: X\nlicense_link: y\nbase_model: org/base\nbase_model_relation: adapter",
    )
    claims = claims_of(DirectorySource(tmp_path).listing("org/lora"))
    assert [(claim.kind, claim.value) for claim in claims[:-1]] == [
        (ClaimKind.HUB_TAG, "other"),
        (ClaimKind.LICENSE_NAME, "X"),
        (ClaimKind.LICENSE_LINK, "y"),
        (ClaimKind.BASE_MODEL, "org/base"),
        (ClaimKind.BASE_MODEL_RELATION, "adapter"),
    ]
    assert claims[-1].kind is ClaimKind.LICENCE_FILE
    assert claims[-1].text_sha256


def test_a_parent_travels_along_where_it_is_pinned(tmp_path):
    put_repository(
        tmp_path,
        "org/base",
        card="license: cc-by-nc-4.0",
        licence="cc-by-nc-4.0",
        files={"model_index.json": b"{}"},
    )
    put_repository(
        tmp_path, "org/lora", card=LORA_CARD, files={"pytorch_lora_weights.safetensors": EMPTY_WEIGHTS}
    )
    lora = components(tmp_path)["org/lora"]
    assert lora.role is Role.LORA
    (edge,) = lora.edges
    assert edge.parent is not None
    codes = {reason.code for reason in evaluate([lora], make_use(), catalogue().terms).against()}
    assert "inherited_restriction" in codes


def test_a_parent_that_is_not_pinned_is_unknown(tmp_path):
    put_repository(tmp_path, "org/lora", card=LORA_CARD, files={"lora.safetensors": EMPTY_WEIGHTS})
    (edge,) = components(tmp_path)["org/lora"].edges
    assert (edge.to, edge.parent) == ("org/base", None)


def test_models_that_name_each_other_as_base_end_somewhere(tmp_path):
    put_repository(tmp_path, "org/a", card="license: mit\nbase_model: org/b", licence="")
    put_repository(tmp_path, "org/b", card="license: mit\nbase_model: org/a", licence="")
    found = components(tmp_path)["org/a"]
    assert found.edges[0].parent is not None
    assert found.edges[0].parent.edges[0].parent is None


@pytest.mark.parametrize(
    ("card", "kind"),
    [
        ("base_model: o/b\nbase_model_relation: merge", EdgeKind.MERGE_OF),
        ("base_model: o/b\nbase_model_relation: Quantized", EdgeKind.QUANTIZED_FROM),
        ("base_model: o/b\nbase_model_relation: homage", EdgeKind.FINETUNED_FROM),
        ("base_model: o/b", EdgeKind.FINETUNED_FROM),
    ],
)
def test_the_relation_is_the_cards_or_the_widest(tmp_path, card, kind):
    put_repository(tmp_path, "org/model", card=card)
    assert components(tmp_path)["org/model"].edges[0].kind is kind


def weights(fill: int, size: int = 2048, **metadata: str) -> bytes:
    header = {"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    raw = json.dumps({"__metadata__": metadata, **header} if metadata else header).encode()
    return len(raw).to_bytes(8, "little") + raw + bytes([fill]) * size


def put_copy(root: Path, repo: str, tag: str, path: str = "model.safetensors", fill: int = 1) -> None:
    put_repository(root, repo, card=f"license: {tag}", licence="", files={path: weights(fill)})


def test_the_same_weights_under_another_tag_elsewhere_are_a_contradiction(tmp_path):
    put_copy(tmp_path, "one/pony", "apache-2.0")
    put_copy(tmp_path, "two/pony", "cc-by-nc-4.0")
    found = components(tmp_path)
    assert [copy.repo for copy in found["one/pony"].copies] == ["two/pony"]
    verdict = evaluate([found["one/pony"]], make_use(), catalogue().terms)
    assert "claim_conflict" in {reason.code for reason in verdict.against()}


@pytest.mark.parametrize("path", ["text_encoder_2/model.safetensors", "vae/model.safetensors"])
def test_a_part_that_many_models_share_contradicts_nothing(tmp_path, path):
    put_copy(tmp_path, "one/pony", "apache-2.0", path)
    put_copy(tmp_path, "two/pony", "cc-by-nc-4.0", path)
    assert components(tmp_path)["one/pony"].copies == ()


def test_a_licence_that_only_the_header_of_the_weights_names_can_dissent(tmp_path):
    put_repository(
        tmp_path,
        "org/base",
        files={"model.safetensors": weights(1, **{"modelspec.license": "CC-BY-NC-4.0"})},
    )
    (component,) = components(tmp_path).values()
    assert component.said(ClaimKind.SAFETENSORS_METADATA) == ("CC-BY-NC-4.0",)
    verdict = evaluate([component], make_use(), catalogue().terms)
    assert "claim_conflict" in {reason.code for reason in verdict.against()}


def test_a_gate_needs_somebody_whom_the_hub_let_in(tmp_path):
    put_repository(tmp_path, "org/base")
    listing = DirectorySource(tmp_path).listing("org/base")
    closed = PinnedClaims(pin=pin_of(listing, Role.BASE), claims=claims_of(listing), gated=True)
    for record, expected in ((closed, True), (replace(closed, gate_passed_by="ann"), False)):
        component = licensed_components([record], catalogue().text_ids)["org/base"]
        codes = {one.code for one in evaluate([component], make_use(), catalogue().terms).against()}
        assert ("gate_acceptance_missing" in codes) is expected


def test_other_bytes_on_main_are_told_and_hold_nothing_by_themselves(tmp_path):
    put_repository(tmp_path, "org/base")
    listing = DirectorySource(tmp_path).listing("org/base")
    record = PinnedClaims(pin=pin_of(listing, Role.BASE), claims=claims_of(listing), moved=True)
    component = licensed_components([record], catalogue().text_ids)["org/base"]
    verdict = evaluate([component], make_use(), catalogue().terms)
    assert verdict.is_permit
    assert "bytes_changed_after_pin" in {reason.code for reason in verdict.reasons}


def test_the_role_follows_from_files_and_card(tmp_path):
    put_repository(tmp_path, "org/pipe", files={"model_index.json": b"{}"})
    put_repository(tmp_path, "org/lora", files={"pytorch_lora_weights.safetensors": EMPTY_WEIGHTS})
    put_repository(tmp_path, "org/adapter", card="base_model_relation: adapter")
    put_repository(tmp_path, "org/plain")
    source = DirectorySource(tmp_path)
    roles = {repo: role_of(source.listing(repo), ["org/adapter"]) for repo in source.repositories()}
    assert roles == {
        "org/pipe": Role.BASE,
        "org/lora": Role.LORA,
        "org/adapter": Role.DISTILL_LORA,
        "org/plain": Role.BASE,
    }


def test_a_pickle_beside_safetensors_is_left_out_and_a_lone_one_denies(tmp_path):
    put_repository(tmp_path, "org/both", files={"a/w.bin": b"x", "a/w.safetensors": EMPTY_WEIGHTS})
    put_repository(tmp_path, "org/lone", files={"a/w.bin": b"x", "run.py": b"y"})
    both, lone = components(tmp_path)["org/both"], components(tmp_path)["org/lone"]
    assert both.unsafe_files == ()
    assert lone.unsafe_files == ("a/w.bin", "run.py")
    assert "a/w.bin" not in [
        file.path for file in pin_of(DirectorySource(tmp_path).listing("org/both"), Role.BASE).files
    ]
    assert {reason.code for reason in evaluate([lone], make_use(), catalogue().terms).against()} == {
        "unsafe_format"
    }
