"""The menu: every offer with its verdict, denied ones included; what is missing, with the remedy."""

from dataclasses import replace

import pytest

from policy.manifest import LoraRequest, RenderManifest, Shot
from policy.menu import Menu
from policy.stacks import Role
from policy.uses import Act
from policy.verdicts import Ruling
from registry.components import PinnedClaims, claims_of, licensed_components, pin_of, role_of
from registry.licences.claims import Conclusion
from registry.menu import PinnedModel, build_menu, standing_offers
from registry.sources import builtin_source
from tests.unit.registry.licensing import catalogue, make_use

BASE = "rightstep/emoji-64"
PICTURES = ("emoji-64-broadcast", "emoji-64-full", "emoji-64-lcm")
METHODS = (*PICTURES, "emoji-64-motion", "emoji-64-motion-lcm")
STUDENT, MOTION, SHAPES, TWEMOJI = (
    f"{BASE}-{name}" for name in ("lcm-lora", "motion", "style-shapes", "style-twemoji")
)


@pytest.fixture(scope="module")
def pinned() -> dict[str, PinnedModel]:
    source = builtin_source()
    listings = {repo: source.listing(repo) for repo in source.repositories()}
    records = [
        PinnedClaims(pin=pin_of(each, role_of(each, [STUDENT, MOTION])), claims=claims_of(each))
        for each in listings.values()
    ]
    components = licensed_components(records, catalogue().text_ids)
    return {
        record.pin.repo: PinnedModel(
            pin=record.pin,
            component=components[record.pin.repo],
            root=listings[record.pin.repo].root,
            vocabulary=listings[record.pin.repo].vocabulary,
        )
        for record in records
    }


def menu_for(
    pinned: dict[str, PinnedModel],
    *loras: LoraRequest,
    model: str = BASE,
    act: Act = Act.SHIP_OUTPUT_COMMERCIAL,
) -> Menu:
    shots = tuple(Shot(name=f"s{number}", prompt="a fox", model=model, loras=loras) for number in range(3))
    manifest = RenderManifest(name="night", shots=shots)
    return build_menu(manifest=manifest, catalogue=catalogue(), pinned=pinned, use=make_use(act))


def test_the_bare_base_is_offered_by_each_of_its_methods_and_permitted(pinned):
    menu = menu_for(pinned)
    assert [offer.preset.name for offer in menu.offers] == list(METHODS)
    assert all(offer.verdict.is_permit for offer in menu.offers)
    assert menu.absences == ()


def test_a_conclusion_about_another_file_says_nothing_of_the_methods_own(pinned):
    def concluded(scope: str) -> dict[str, PinnedModel]:
        officer = Conclusion(
            licences=("cc-by-nc-4.0",), reason="Read.", concluded_by="officer", concluded_on=None, scope=scope
        )
        student = pinned[STUDENT]
        component = replace(student.component, conclusions=(officer,))
        return {**pinned, STUDENT: replace(student, component=component)}

    rulings = {
        scope: {offer.preset.name: offer.verdict.ruling for offer in menu_for(concluded(scope)).offers}
        for scope in ("pytorch_*", "other_*")
    }
    assert rulings["pytorch_*"]["emoji-64-lcm"] is Ruling.DENY
    assert rulings["other_*"]["emoji-64-lcm"] is Ruling.PERMIT
    assert {ruling["emoji-64-full"] for ruling in rulings.values()} == {Ruling.PERMIT}


def test_everything_that_is_pinned_stands_on_offer(pinned):
    offers = standing_offers(catalogue(), pinned, make_use())
    assert {tuple(lora.repo for lora in offer.loras) for offer in offers} == {(), (SHAPES,), (TWEMOJI,)}
    assert {offer.preset.name for offer in offers} >= {"emoji-64-full", "emoji-64-lcm"}


def test_the_stack_is_base_then_styles_then_the_methods_lora(pinned):
    styled = LoraRequest(repo=TWEMOJI, scale=0.8)
    cached, full, student, *_clips = menu_for(pinned, styled).offers_for(BASE, (styled,))
    assert [(pin.repo, pin.role, getattr(pin, "scale", None)) for pin in student.stack.pins] == [
        (BASE, Role.BASE, None),
        (TWEMOJI, Role.LORA, 0.8),
        (STUDENT, Role.DISTILL_LORA, 1.0),
    ]
    assert student.stack.name == "emoji-64 + emoji-64-style-twemoji + emoji-64-lcm-lora"
    assert full.stack.stack_id != student.stack.stack_id
    assert full.stack.stack_id == cached.stack.stack_id  # a cache adds nothing that has a licence
    assert (student.stack.pipeline, student.stack.dtype) == ("StableDiffusionPipeline", "float32")


def test_a_denied_offer_stays_on_the_menu_with_the_clause(pinned):
    menu = menu_for(pinned, LoraRequest(repo=SHAPES))
    denied = menu.offers_for(BASE, (LoraRequest(repo=SHAPES),))
    assert [offer.verdict.ruling for offer in denied] == [Ruling.DENY] * len(METHODS)
    (against,) = menu.offers[0].verdict.against()
    assert (against.code, against.component, against.licence) == (
        "noncommercial_licence",
        SHAPES,
        "cc-by-nc-4.0",
    )
    assert "2(a)(1)" in against.clause


def test_the_same_style_is_permitted_for_research(pinned):
    menu = menu_for(pinned, LoraRequest(repo=SHAPES), act=Act.RESEARCH_NONCOMMERCIAL)
    assert all(offer.verdict.is_permit for offer in menu.offers)


def test_an_attribution_is_owed_for_the_style_that_asks_for_it(pinned):
    menu = menu_for(pinned, LoraRequest(repo=TWEMOJI))
    assert {(owed.id, owed.component) for owed in menu.offers[0].verdict.obligations} == {
        ("attribution", TWEMOJI)
    }


def test_an_unknown_model_is_absent_with_near_names(pinned):
    menu = menu_for(pinned, model="rightstep/emoji-46")
    (absence,) = menu.absences
    assert menu.offers == ()
    assert "rightstep/emoji-64" in absence.next_step


def test_an_unknown_lora_is_absent_with_the_command_that_pins_it(pinned):
    (absence,) = menu_for(pinned, LoraRequest(repo="somebody/watercolours")).absences
    assert "somebody/watercolours is not pinned" in absence.detail
    assert "rightstep model pin somebody/watercolours" in absence.next_step


def test_a_method_whose_artefact_is_not_pinned_is_absent_and_the_others_stay(pinned):
    menu = menu_for({repo: model for repo, model in pinned.items() if repo != STUDENT})
    assert [offer.preset.name for offer in menu.offers] == [
        "emoji-64-broadcast",
        "emoji-64-full",
        "emoji-64-motion",
    ]
    assert [absence.preset for absence in menu.absences] == ["emoji-64-lcm", "emoji-64-motion-lcm"]
    assert {absence.next_step for absence in menu.absences} == {f"Pin it with: rightstep model pin {STUDENT}"}


def test_a_method_of_two_files_is_absent_where_one_of_them_is_not_pinned(pinned):
    """One expert of two loads, runs and draws wrong pictures."""
    presets = tuple(
        replace(
            preset,
            parts=tuple(replace(part, component="transformer") for part in preset.parts)
            + tuple(
                replace(part, component="transformer_2", file="low.safetensors") for part in preset.parts
            ),
        )
        for preset in catalogue().presets
    )
    shots = (Shot(name="s", prompt="a fox", model=BASE),)
    menu = build_menu(
        manifest=RenderManifest(name="night", shots=shots),
        catalogue=replace(catalogue(), presets=presets),
        pinned=pinned,
        use=make_use(),
    )
    assert [offer.preset.name for offer in menu.offers] == ["emoji-64-broadcast", "emoji-64-full"]
    absence = next(one for one in menu.absences if one.preset == "emoji-64-lcm")
    assert absence.detail == f"emoji-64-lcm needs low.safetensors of {STUDENT}, which is pinned without it."


def test_a_pinned_model_without_a_method_is_absent(pinned):
    other = replace(pinned[BASE], pin=replace(pinned[BASE].pin, repo="studio/own"))
    (absence,) = menu_for({**pinned, "studio/own": other}, model="studio/own").absences
    assert absence.detail == "No method is known for studio/own."


def test_each_wish_is_answered_once_however_many_shots_share_it(pinned):
    menu = menu_for(pinned, LoraRequest(repo=TWEMOJI))
    assert len(menu.offers_for(BASE, (LoraRequest(repo=TWEMOJI),))) == len(METHODS)
    assert len(menu.offers) == 2 * len(METHODS)


def test_the_bare_model_is_offered_beside_its_styles_as_a_way_out(pinned):
    menu = menu_for(pinned, LoraRequest(repo=TWEMOJI))
    assert [offer.preset.name for offer in menu.offers_for(BASE, ())] == list(METHODS)


def test_where_a_model_is_denied_the_other_bases_stand_as_a_way_out(pinned):
    """Also those that nobody asked for: the refusal of one model names another that may be used."""
    denied = replace(pinned[BASE], component=replace(pinned[BASE].component, licence_texts=("cc-by-nc-4.0",)))
    own = replace(pinned[BASE], pin=replace(pinned[BASE].pin, repo="studio/own"))
    presets = tuple(
        replace(preset, base=(*preset.base, "studio/own")) if preset.name == "emoji-64-full" else preset
        for preset in catalogue().presets
    )
    menu = build_menu(
        manifest=RenderManifest(name="night", shots=(Shot(name="s", prompt="a fox", model=BASE),)),
        catalogue=replace(catalogue(), presets=presets),
        pinned={**pinned, BASE: denied, "studio/own": own},
        use=make_use(),
    )
    assert not any(offer.verdict.is_permit for offer in menu.offers_for(BASE, ()))
    assert [offer.preset.name for offer in menu.offers_for("studio/own", ())] == ["emoji-64-full"]


def test_the_words_of_a_model_include_those_of_its_styles(pinned):
    (entry,) = menu_for(pinned, LoraRequest(repo=TWEMOJI)).words
    model, entries = entry
    words = {word for phrase in entries for word in phrase.replace(",", " ").split()}
    assert model == BASE
    assert {"fox", "twemoji", "background"} <= words


def test_a_scale_changes_the_stack_and_not_the_verdict(pinned):
    shots = tuple(
        Shot(name=f"s{scale}", prompt="a fox", model=BASE, loras=(LoraRequest(repo=TWEMOJI, scale=scale),))
        for scale in (0.5, 1.0)
    )
    manifest = RenderManifest(name="night", shots=shots)
    menu = build_menu(manifest=manifest, catalogue=catalogue(), pinned=pinned, use=make_use())
    styled = [offer for offer in menu.offers if offer.loras]
    assert len({offer.stack.stack_id for offer in styled}) == 8
    half, whole = (
        next(offer for offer in styled if offer.loras[0].scale == scale and offer.preset.name == METHODS[-1])
        for scale in (0.5, 1.0)
    )
    assert half.verdict == whole.verdict
