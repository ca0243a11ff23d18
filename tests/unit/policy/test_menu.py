from tests.factories import BASE, make_lora, make_menu, make_offer


def test_offers_are_found_by_the_model_and_the_very_loras_that_were_asked_for():
    styled = make_offer(loras=(make_lora(),))
    menu = make_menu(offers=(make_offer(), styled))
    assert menu.offers_for(BASE, (make_lora(),)) == (styled,)
    assert menu.offers_for(BASE, (make_lora(scale=0.5),)) == ()
