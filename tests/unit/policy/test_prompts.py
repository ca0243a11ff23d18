from policy.tiers import ServiceTier
from tests.factories import BASE, make_execution_plan, make_manifest, make_menu, make_service, make_shot

WORDS = ((BASE, ("a", "fox", "red apple", "palm tree")),)


def warnings(*shots, **changes):
    manifest = make_manifest(shots=shots, **changes)
    return make_execution_plan(manifest=manifest, menu=make_menu(words=WORDS)).warnings


def test_known_words_pass_in_any_case_and_with_any_punctuation():
    assert warnings(make_shot(prompt="A Fox, a palm tree; red apple!")) == ()


def test_an_unknown_word_is_named_with_its_shots_and_the_nearest_word():
    (warning,) = warnings(make_shot("one", prompt="a foxx"), make_shot("two", prompt="a foxx"))
    assert warning == (
        '"foxx" in "one", "two" is not a word that rightstep/emoji-64 was trained on; '
        'it will be guessed at. Did you mean "fox"?'
    )


def test_nothing_is_suggested_where_nothing_is_near():
    (warning,) = warnings(make_shot(prompt="a zzzzzz"))
    assert "Did you mean" not in warning


def test_many_unknown_words_are_summed_up():
    words = [f"w{chr(97 + n // 26)}{chr(97 + n % 26)}q" for n in range(30)]
    found = warnings(make_shot(prompt=" ".join(words)))
    assert len(found) == 21
    assert found[-1] == "10 more words outside the vocabulary of rightstep/emoji-64."


def test_a_model_without_a_closed_vocabulary_hears_everything():
    menu = make_menu(words=(("org/another", ("fox",)),))
    assert (
        make_execution_plan(manifest=make_manifest(shots=(make_shot(prompt="zebra"),)), menu=menu).warnings
        == ()
    )


def test_a_negative_prompt_is_deaf_where_guidance_is_baked_in_or_off():
    interactive = make_service(tier=ServiceTier.INTERACTIVE)
    assert warnings(make_shot(negative="blurry")) == ()
    (baked,) = warnings(make_shot(negative="blurry"), make_shot("owl", prompt="a fox"), service=interactive)
    assert baked == 'The negative prompt of "fox" does nothing with emoji-64-lcm: guidance is baked in.'
    (off,) = warnings(make_shot(negative="blurry", guidance=1.0, method="emoji-64-full"))
    assert off.endswith("emoji-64-full: guidance is off.")
