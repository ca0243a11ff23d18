import pytest

from policy.errors import ServiceFault
from workers.ray_environment import (
    OWN_ADDRESS,
    is_loopback,
    joining_environment,
    ray_environment,
    require_closed,
    token_file,
)


def test_authentication_is_switched_on_and_not_left_to_a_default(tmp_path):
    environment = ray_environment(tmp_path)
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"] == str(token_file(tmp_path))
    assert environment["HF_HUB_OFFLINE"] == "1"


def test_the_token_is_long_private_and_kept(tmp_path):
    path = token_file(tmp_path / "ray")
    token = path.read_text()
    assert len(token) == 64
    assert path.stat().st_mode & 0o077 == 0
    assert token_file(tmp_path / "ray").read_text() == token
    assert [entry.name for entry in (tmp_path / "ray").iterdir()] == [path.name]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_nothing(host):
    require_closed(host, {})


@pytest.mark.parametrize(
    "environment",
    [{}, {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "secret"}, {"RAY_AUTH_MODE": "token"}],
    ids=["nothing set", "switched off", "no token"],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])
def test_an_open_door_without_a_token_is_refused(host, environment):
    with pytest.raises(ServiceFault, match="without a token"):
        require_closed(host, environment)


def test_a_guarded_door_may_be_open(tmp_path):
    require_closed("192.0.2.7", ray_environment(tmp_path))


def test_a_host_without_an_address_is_refused():
    with pytest.raises(ServiceFault, match="has no address"):
        is_loopback("no-such-host.invalid")


@pytest.mark.parametrize(("address", "looks_outward"), [("192.0.2.7:6379", "1"), ("127.0.0.1:6379", "0")])
def test_a_driver_knows_its_node_by_the_address_that_the_others_know(address, looks_outward, monkeypatch):
    """Loopback is a name that only this machine understands."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    environment = joining_environment(address)
    assert (environment[OWN_ADDRESS], environment["RAY_AUTH_MODE"]) == (looks_outward, "token")
    assert "RAY_AUTH_TOKEN_PATH" not in environment, "the token that was given is the one that counts"


def test_nobody_joins_without_a_token(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(ServiceFault, match="no token for the Ray at 192"):
        joining_environment("192.0.2.7:6379")
