"""Contexts: read from one file, refused where somebody could be misunderstood, and the settings' own without one."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from flows.context_facts import show_context
from flows.contexts import find_context, known_contexts
from flows.settings import Settings
from policy.errors import UnknownName, WrongUse
from policy.uses import Context, Delivery, Organisation
from tests.unit.registry.licensing import catalogue

TODAY = date(2026, 1, 31)
EXAMPLE = Path(__file__).parents[3] / "examples" / "contexts.toml"
SAID = 'as_of = 2026-01-01\nsaid_by = "mia"\n'


@pytest.fixture
def describe(tmp_path: Path):
    def write(text: str = f"[client-work]\n{SAID}", **settings: object) -> Settings:
        (tmp_path / "contexts.toml").write_text(text)
        return Settings(home=tmp_path, **settings)

    return write


def test_without_a_file_the_settings_are_the_context_called_default(tmp_path):
    settings = Settings(
        home=tmp_path,
        organisation="Studio",
        annual_revenue_usd=5,
        domicile="DE",
        territories=("DE",),
        organisation_as_of=date(2026, 1, 1),
    )
    found = find_context(settings, "", TODAY)
    assert list(known_contexts(settings, TODAY)) == ["default"]
    assert found.organisation == Organisation(name="Studio", annual_revenue_usd=5, domicile="DE")
    assert found.territories == ("DE",)
    assert (found.context.name, found.context.delivery) == ("default", Delivery())


def test_facts_without_a_day_never_age_and_those_with_one_do():
    dated = Context(name="a", as_of=TODAY, good_until=TODAY + timedelta(days=365))
    assert not dated.is_outdated(TODAY + timedelta(days=365))
    assert dated.is_outdated(TODAY + timedelta(days=366))
    assert dated.is_outdated(None)
    assert not Context(name="a").is_outdated(date.max)


def test_a_day_that_is_far_off_has_an_end_all_the_same(tmp_path):
    settings = Settings(home=tmp_path, organisation_as_of=date.max)
    assert find_context(settings, "", TODAY).context.good_until == date.max


def test_a_file_says_everything_that_the_settings_do_and_how_outputs_are_delivered(describe):
    settings = describe(
        f'[lab]\n{SAID}organisation = "Lab"\nkind = "academic"\ndomicile = "FR"\nannual_revenue_usd = 1\n'
        'group_revenue_usd = 2\nmau = 3\nmonthly_visits = 4\nterritories = ["FR"]\n'
        "[lab.delivery]\ncontent_filter = true\nremoves_provenance_marking = false\n",
        context_days=10,
    )
    found = find_context(settings, "lab", TODAY)
    assert found.organisation == Organisation(
        name="Lab",
        annual_revenue_usd=1,
        group_revenue_usd=2,
        mau=3,
        monthly_visits=4,
        domicile="FR",
        kind="academic",
    )
    assert found.territories == ("FR",)
    assert found.context == Context(
        name="lab",
        as_of=date(2026, 1, 1),
        good_until=date(2026, 1, 11),
        said_by="mia",
        delivery=Delivery(content_filter=True, removes_provenance_marking=False),
    )


def test_the_default_is_a_setting_and_a_file_may_describe_it_itself(describe):
    settings = describe(f'[default]\n{SAID}organisation = "File"\n[lab]\n{SAID}', organisation="Settings")
    assert find_context(settings, "", TODAY).organisation.name == "File"
    chosen = settings.model_copy(update={"context": "lab"})
    assert find_context(chosen, "", TODAY).context.name == "lab"
    assert find_context(chosen, "default", TODAY).context.name == "default"


def test_a_name_that_nobody_described_is_refused_with_the_nearest(describe):
    with pytest.raises(UnknownName, match="Did you mean client-work"):
        find_context(describe(), "cleint-work", TODAY)
    with pytest.raises(UnknownName, match="Known are client-work, default"):
        find_context(describe(), "zzz", TODAY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a", "not TOML"),
        ("a = 1", "a: "),
        ("[A]\n" + SAID, "no name of a context"),
        ('[a]\nsaid_by = "mia"\n', "a.as_of"),
        ("[a]\nas_of = 2026-01-01\n", "a.said_by"),
        ('[a]\nas_of = 2026-02-01\nsaid_by = "mia"\n', "has not come yet"),
        (f"[a]\n{SAID}revenue = 1\n", "no field 'revenue'"),
        (f"[a]\n{SAID}mau = -1\n", "a.mau"),
        (f'[a]\n{SAID}domicile = "Germany"\n', "a.domicile"),
        (f'[a]\n{SAID}kind = "ltd"\n', "a.kind"),
        (f'[a]\n{SAID}[a.delivery]\ncontent_filter = "yes"\n', "a.delivery.content_filter"),
        (f"[a]\n{SAID}[a.delivery]\ncontent_filter = 1\n", "a.delivery.content_filter"),
        (f"[a]\n{SAID}mau = true\n", "a.mau"),
        ('[a]\nas_of = 0\nsaid_by = "mia"\n', "a.as_of"),
        (f"[a]\n{SAID}[a.delivery]\nfilter = true\n", "content_filter"),
    ],
)
def test_a_file_that_could_be_misunderstood_is_refused_with_the_place(describe, text, told):
    with pytest.raises(WrongUse) as caught:
        find_context(describe(text), "", TODAY)
    assert told in caught.value.message
    assert caught.value.next_step


def test_a_file_that_was_named_has_to_be_there(tmp_path):
    with pytest.raises(WrongUse, match="cannot be read"):
        find_context(Settings(home=tmp_path, contexts=tmp_path / "gone.toml"), "", TODAY)


def test_a_context_laid_open_says_what_is_not_known_and_who_asks_for_it(describe):
    settings = describe(f"[a]\n{SAID}annual_revenue_usd = 1\n[a.delivery]\nai_disclosure = true\n")
    shown = show_context(settings, catalogue().terms.values(), "a", date(2027, 1, 2))
    unknown = {one.fact: dict(one.asked_by) for one in shown.unknown}
    assert (shown.outdated, shown.default, shown.names) == (True, "default", ("a", "default"))
    assert unknown["content_filter"]["flux1-dev-nc-1.1.1"] == "2.e"
    assert "ltx2x-community-2026-08-11" in unknown["removes_provenance_marking"]
    assert "annual_revenue_usd" not in unknown
    assert "ai_disclosure" not in unknown


def test_the_example_can_be_used_as_it_is(tmp_path):
    known = known_contexts(Settings(home=tmp_path, contexts=EXAMPLE), date(2026, 12, 31))
    assert set(known) == {"default", "own-films", "client-work", "lab"}
    assert known["client-work"].context.delivery.content_filter
