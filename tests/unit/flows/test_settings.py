"""Settings: read from the environment alone, bounded, and told by the name that a person sets."""

import subprocess
from pathlib import Path

import pytest

from flows.fleet_settings import read_fleet
from flows.settings import Settings, load_settings
from policy.errors import WrongUse


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RIGHTSTEP_WORKERS", "0"),
        ("RIGHTSTEP_WORKERS", "4097"),
        ("RIGHTSTEP_WORKERS", "many"),
        ("RIGHTSTEP_THREADS", "0"),
        ("RIGHTSTEP_DEVICE", "tpu"),
        ("RIGHTSTEP_DEVICES", "tpu workers=2"),
        ("RIGHTSTEP_DEVICES", "cpu workers=0"),
        ("RIGHTSTEP_DEVICES", "cpu workers=1 workers=2"),
        ("RIGHTSTEP_DEVICES", "cpu cores=2"),
        ("RIGHTSTEP_DEVICES", "cuda name="),
        ("RIGHTSTEP_DEVICES", "cuda price=-1"),
        ("RIGHTSTEP_DEVICES", "cpu workers=1, cpu workers=2"),
        ("RIGHTSTEP_RENDERER", "comfy"),
        ("RIGHTSTEP_SYNTHETIC_SECONDS_PER_STEP", "-1"),
        ("RIGHTSTEP_PRICE_PER_DEVICE_HOUR", "-0.01"),
        ("RIGHTSTEP_LEASE_SECONDS", "0.5"),
        ("RIGHTSTEP_LEASE_SECONDS", "nan"),
        ("RIGHTSTEP_ANNUAL_REVENUE_USD", "-1"),
        ("RIGHTSTEP_DOMICILE", "Germany"),
        ("RIGHTSTEP_TERRITORIES", "DE,Austria"),
        ("RIGHTSTEP_PREFECT_START_SECONDS", "1"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_the_name_of_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(WrongUse) as caught:
        load_settings()
    assert f"{variable}: " in caught.value.message
    assert caught.value.next_step


def test_every_fault_is_told_at_once(monkeypatch):
    monkeypatch.setenv("RIGHTSTEP_WORKERS", "0")
    monkeypatch.setenv("RIGHTSTEP_THREADS", "0")
    with pytest.raises(WrongUse, match=r"RIGHTSTEP_WORKERS: .*RIGHTSTEP_THREADS: "):
        load_settings()


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    for name in Settings.model_fields:
        if name != "home":
            monkeypatch.setenv(f"RIGHTSTEP_{name.upper()}", "")
    settings = load_settings()
    assert settings.app_url == f"sqlite:///{settings.home / 'ledger.sqlite3'}"
    assert settings.territories == ("WORLD",)
    assert settings.model_folders == ()


def test_lists_are_written_as_people_write_them(monkeypatch):
    monkeypatch.setenv("RIGHTSTEP_MODEL_FOLDERS", "/models/one: /models/two:")
    monkeypatch.setenv("RIGHTSTEP_TERRITORIES", "DE, NO")
    settings = load_settings()
    assert settings.model_folders == (Path("/models/one"), Path("/models/two"))
    assert settings.territories == ("DE", "NO")


def test_a_folder_means_the_same_to_a_process_that_runs_elsewhere(monkeypatch, tmp_path, home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RIGHTSTEP_HOME", "house")
    monkeypatch.setenv("RIGHTSTEP_CATALOGUE", "~/ours")
    monkeypatch.setenv("RIGHTSTEP_MODEL_FOLDERS", "shelf")
    settings = load_settings()
    assert settings.home == tmp_path / "house"
    assert settings.artefacts == tmp_path / "house" / "artefacts"
    assert settings.catalogue == home / "ours"
    assert settings.model_folders == (tmp_path / "shelf",)


def test_migrations_run_as_the_owner_and_the_rest_as_the_application(monkeypatch):
    monkeypatch.setenv("RIGHTSTEP_DATABASE_URL", "postgresql://app:apricot@db/house")
    settings = load_settings()
    assert settings.owner_url == settings.app_url == "postgresql://app:apricot@db/house"
    monkeypatch.setenv("RIGHTSTEP_DATABASE_OWNER_URL", "postgresql://owner:banana@db/house")
    settings = load_settings()
    assert settings.owner_url == "postgresql://owner:banana@db/house"
    assert "apricot" not in repr(settings)
    assert "banana" not in repr(settings)


def test_what_is_not_known_of_the_organisation_is_none_and_never_zero():
    facts = load_settings().organisation_facts
    assert (facts.annual_revenue_usd, facts.group_revenue_usd, facts.mau, facts.domicile) == (None,) * 4


def test_the_cost_model_tells_devices_apart():
    assert Settings(renderer="synthetic", threads=2).fleet.devices == ("synthetic-2",)
    assert Settings(threads=3).fleet.devices == ("cpu-3",)
    assert Settings(device="cuda:97").fleet.devices == ("cuda:97",)


def test_every_setting_says_what_it_means():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_fleet_of_several_devices_is_one_setting(monkeypatch):
    monkeypatch.setenv("RIGHTSTEP_DEVICES", "cpu threads=2 workers=3, cuda name=nvidia-h100 price=2.5 load=9")
    monkeypatch.setenv("RIGHTSTEP_PRICE_PER_DEVICE_HOUR", "0.1")
    slow, quick = load_settings().fleet.groups
    assert (slow.device, slow.workers, slow.price_per_device_hour) == ("cpu-2", 3, 0.1)
    assert (quick.device, quick.workers, quick.price_per_device_hour) == ("nvidia-h100", 1, 2.5)
    assert quick.load_seconds == 9


def test_without_it_the_fleet_is_one_group():
    settings = Settings(workers=3, threads=2)
    (group,) = settings.fleet.groups
    assert (group.device, group.workers) == ("cpu-2", 3)


def test_a_wrong_word_of_a_fleet_is_told_with_what_would_be_right(monkeypatch):
    monkeypatch.setenv("RIGHTSTEP_DEVICES", "cpu workers=some")
    with pytest.raises(WrongUse, match="'workers=some': workers is a whole number from 1 to 4096"):
        load_settings()


def test_cards_of_one_class_are_one_group():
    groups = read_fleet("cuda:0 name=nvidia-h100, cuda:1 name=nvidia-h100, cpu threads=2")
    fleet = Settings(devices=groups).fleet
    assert {group.device: group.workers for group in fleet.groups} == {"nvidia-h100": 2, "cpu-2": 1}


def test_secrets_come_from_files_and_a_variable_counts_before_its_file(monkeypatch, tmp_path):
    """What infra/make-secrets.sh draws is what the settings read."""
    folder = tmp_path / "secrets"
    script = Path(__file__).resolve().parents[3] / "infra" / "make-secrets.sh"
    for _ in range(2):
        subprocess.run([script, folder, "db.example"], check=True)
    drawn = {path.name: path.read_text() for path in folder.iterdir()}
    subprocess.run([script, folder, "elsewhere.example"], check=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == drawn, "what is there is kept"
    assert folder.stat().st_mode & 0o077 == 0
    assert len({value for name, value in drawn.items() if name.endswith(("password", "token"))}) == 6
    monkeypatch.setenv("RIGHTSTEP_SECRETS", str(folder))
    monkeypatch.setenv("RIGHTSTEP_PREFECT_API_URL", "http://prefect:4200/api/")
    settings = load_settings()
    password = drawn["app_password"]
    assert settings.app_url == f"postgresql://rightstep_app:{password}@db.example:5432/rightstep"
    assert settings.owner_url == drawn["rightstep_database_owner_url"]
    assert settings.prefect_elsewhere is not None
    assert settings.prefect_elsewhere.url == "http://prefect:4200/api"
    assert settings.prefect_elsewhere.auth == drawn["rightstep_prefect_auth"]
    assert not any(value in repr(settings) for value in drawn.values())
    monkeypatch.setenv("RIGHTSTEP_DATABASE_URL", "postgresql://me@here/mine")
    assert load_settings().app_url == "postgresql://me@here/mine"


def test_a_folder_of_secrets_that_is_not_there_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("RIGHTSTEP_SECRETS", str(tmp_path / "nowhere"))
    with pytest.raises(WrongUse, match=r"RIGHTSTEP_SECRETS: .*nowhere is no folder"):
        load_settings()
