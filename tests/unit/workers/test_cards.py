from workers.cards import card_class


def test_a_card_is_called_as_its_driver_names_it(tmp_path):
    for bus, model in (("0000:01:00.0", "NVIDIA H100 80GB HBM3"), ("0000:02:00.0", "NVIDIA L4")):
        folder = tmp_path / bus
        folder.mkdir()
        (folder / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 100\n")
    assert card_class("cuda", tmp_path) == "nvidia-h100-80gb-hbm3"
    assert card_class("cuda:1", tmp_path) == "nvidia-l4"


def test_what_the_driver_does_not_tell_is_not_known(tmp_path):
    assert card_class("cuda:2", tmp_path) is None
    assert card_class("cuda", tmp_path / "none") is None
