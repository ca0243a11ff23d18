"""P5 to P9: weights that leave, gates, drift, what runs and what is only declared."""

from policy.stacks import Role
from policy.uses import Act
from policy.verdicts import Ruling
from registry.licences.claims import Claim, ClaimKind
from registry.licences.terms import (
    Binding,
    RequiredEvidence,
    Updating,
)
from tests.unit.registry.judging import LOOK, all_codes, codes, judged
from tests.unit.registry.licensing import make_component, make_lora, make_terms, make_use, tag

# --- P5 share-alike ---------------------------------------------------------------------

GIVE = make_use(Act.DISTRIBUTE_WEIGHTS)


def test_share_alike_on_outputs_is_unsettled():
    verdict = judged(make_component("cc-by-sa-4.0"))
    assert verdict.ruling is Ruling.REVIEW
    assert codes(verdict) == {"share_alike_output_unsettled"}


def test_shared_alike_weights_leave_only_under_what_they_demand():
    component = make_component("cc-by-sa-4.0")
    assert judged(component, use=make_use(Act.DISTRIBUTE_WEIGHTS, outbound_licence="cc-by-sa-4.0")).is_permit
    assert codes(judged(component, use=make_use(Act.DISTRIBUTE_WEIGHTS, outbound_licence="mit"))) == {
        "share_alike_violated"
    }
    assert codes(judged(component, use=GIVE)) == {"predicate_input_missing"}


def test_demands_without_common_ground_deny():
    base = make_component("cc-by-sa-4.0")
    use = make_use(Act.DISTRIBUTE_WEIGHTS, outbound_licence="cc-by-sa-4.0")
    verdict = judged(base, make_lora("openrailpp-sdxl-2023-07-26", base), use=use)
    assert verdict.ruling is Ruling.DENY
    assert "share_alike_conflict" in codes(verdict)


def test_use_restrictions_stay_on_weights_that_leave():
    use = make_use(Act.DISTRIBUTE_WEIGHTS, outbound_licence="mit")
    assert codes(judged(make_component("openrailpp-sdxl-2023-07-26"), use=use)) == {
        "use_restrictions_dropped"
    }


# --- P6 gates and evidence --------------------------------------------------------------


def test_a_gate_needs_its_acceptance():
    assert codes(judged(make_component(gated=True))) == {"gate_acceptance_missing"}
    assert judged(make_component(gated=True, gate_accepted=True)).is_permit


def test_a_registration_needs_its_proof():
    needed = RequiredEvidence(
        id="some_registration",
        acts=(Act.SHIP_OUTPUT_COMMERCIAL,),
        if_missing=Ruling.REVIEW,
        code="registration_missing",
        clause="3",
        detail="Commercial use is to be registered.",
        verified=True,
    )
    terms = make_terms(evidence=(needed,))
    assert codes(judged(make_component(), terms=terms)) == {"registration_missing"}
    assert judged(make_component(), terms=terms, use=make_use(evidence=("some_registration",))).is_permit
    assert judged(make_component(), terms=terms, use=LOOK).is_permit


# --- P7 drift ---------------------------------------------------------------------------


def test_stricter_terms_after_the_pin_are_a_finding():
    verdict = judged(make_component(texts_on_main=("cc-by-nc-4.0",)))
    assert verdict.is_permit
    assert "drift_stricter_after_pin" in all_codes(verdict)


def test_looser_terms_after_the_pin_do_not_reach_back():
    verdict = judged(make_component("cc-by-nc-4.0", texts_on_main=("apache-2.0",)))
    assert verdict.ruling is Ruling.DENY
    assert "drift_looser_after_pin" in codes(verdict)


def test_other_terms_that_decide_alike_are_still_for_a_person():
    verdict = judged(make_component(texts_on_main=("mit",)))
    assert verdict.ruling is Ruling.REVIEW
    assert codes(verdict) == {"drift_looser_after_pin"}


def test_unchanged_terms_are_no_drift():
    assert all_codes(judged(make_component(texts_on_main=("apache-2.0",)))) == {"granted", "all_clear"}


def test_updates_that_bind_are_for_a_person():
    terms = make_terms(updating=Updating(binding=Binding.AGREEMENT_UPDATES, binding_clause="9"))
    verdict = judged(make_component(texts_on_main=("cc-by-nc-4.0",)), terms=terms)
    assert codes(verdict) == {"agreement_updated_binding"}


# --- P8, P9 -----------------------------------------------------------------------------


def test_a_pickle_is_denied_by_name():
    verdict = judged(make_component(unsafe_files=("unet/model.bin",)))
    assert codes(verdict) == {"unsafe_format"}
    assert "unet/model.bin" in verdict.against()[0].detail


def test_a_tag_alone_is_a_declaration_and_said_so():
    verdict = judged(make_component("", claims=(tag("apache-2.0"),)))
    assert verdict.is_permit
    assert "declared_tag_only" in all_codes(verdict)


def test_a_name_without_its_text_is_for_a_person():
    named = Claim(kind=ClaimKind.LICENSE_NAME, value="CreativeML Open RAIL-M")
    verdict = judged(make_component("", claims=(tag("other"), named)))
    assert verdict.ruling is Ruling.REVIEW
    assert codes(verdict) == {"licence_text_unpinned"}


def test_a_path_is_part_of_how_a_component_is_named():
    component = make_component("cc-by-nc-4.0", path="loras/x.safetensors", role=Role.UPSCALER)
    assert judged(component).against()[0].component == "studio/cc-by-nc-4.0/loras/x.safetensors"
