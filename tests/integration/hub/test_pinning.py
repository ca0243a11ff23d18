"""The published client against a local hub: what is pinned is every byte, by our own hash."""

import hashlib

import pytest

from flows.pinning import pin_model
from policy.errors import IntegrityFault, Refused, ServiceFault, StorageFault, UnknownName
from registry.hub_choice import remote_code_in
from registry.unit_of_work import unit_of_work
from registry.verification import verify_files
from tests.local_hub.published import adapters, card, pipeline, text, weights

pytestmark = pytest.mark.timeout(900)


def test_every_file_is_pinned_by_sha256_small_ones_too(hub, studio, repo):
    files = pipeline()
    repository = hub.put(repo, files)
    record = studio.do(pin_model, repo)
    assert record.pin.revision == repository.refs["main"]
    expected = {
        path: hashlib.sha256(body).hexdigest() for path, body in files.items() if not path.endswith(".bin")
    }
    assert {file.path: file.sha256 for file in record.pin.files} == expected
    assert all(file.size == len(files[file.path]) for file in record.pin.files)
    assert not hub.fetched(".bin"), "a spare pickle is not even fetched"


def test_what_the_hub_said_is_kept_with_the_texts_themselves(hub, studio, repo):
    repository = hub.put(repo, pipeline(license_name="x", license_link="LICENSE"), gated="auto")
    repository.accepted.add("secret")
    record = studio.with_settings(hub_token="secret").do(pin_model, f"{repo}@main")
    assert (record.gated, record.gate_passed_by, record.upstream_repo) == ("auto", "tester", repo)
    house = studio.here
    with unit_of_work(house.engine, read_only=True) as work:
        snapshot = work.upstream.snapshots()[record.pin.pin_id]
        archived = {path: work.models.licence_text(sha256).body for path, sha256 in snapshot.texts}
        tags = [one.event.tag for one in work.audit.events()]
    assert archived == {path: pipeline(license_name="x", license_link="LICENSE")[path] for path in archived}
    assert set(archived) == {"LICENSE", "README.md"}
    assert (snapshot.facts.licence.licences, snapshot.facts.licence.name) == (("mit",), "x")
    assert {file.path for file in snapshot.facts.files} == set(pipeline())
    assert "registry:upstream:read" in tags


def test_the_token_is_not_shown_to_the_network_that_serves_large_files(hub, studio, repo):
    hub.put(repo, pipeline()).accepted.add("secret")
    studio.with_settings(hub_token="secret").do(pin_model, repo)
    asked = {one.token for one in hub.requests if one.path.startswith("/cdn/")}
    assert asked == {""}
    assert {one.token for one in hub.requests if not one.path.startswith("/cdn/")} == {"secret"}


def test_a_pin_stays_where_it_was_when_the_branch_moves(hub, studio, repo):
    repository = hub.put(repo, pipeline())
    first = studio.do(pin_model, repo)
    moved = repository.change({"unet/diffusion_pytorch_model.safetensors": weights(9)})
    second = studio.do(pin_model, repo)
    assert (first.pin.revision != moved, second.pin.revision) == (True, moved)
    house = studio.here
    for record in (first, second):
        root = house.hub.locate(repo, record.pin.revision)
        assert verify_files(str(root), record.pin.files) == ()


def test_a_branch_with_a_slash_and_a_commit_are_revisions(hub, studio, repo):
    repository = hub.put(repo, pipeline())
    old = repository.refs["main"]
    side = repository.commit(pipeline("apache-2.0"), branch="refs/pr/1")
    repository.change({"README.md": card()})
    assert studio.do(pin_model, f"{repo}@refs/pr/1").pin.revision == side
    assert studio.do(pin_model, f"{repo}@{old}").pin.revision == old


def test_a_renamed_repository_is_pinned_under_the_name_that_was_asked_for(hub, studio, repo):
    hub.put(repo, pipeline())
    hub.rename(repo, f"{repo}-renamed")
    record = studio.do(pin_model, repo)
    assert (record.pin.repo, record.upstream_repo) == (repo, f"{repo}-renamed")
    assert len(record.pin.files) == len(pipeline()) - 1


def test_patterns_pin_some_files_with_card_texts_and_configurations(hub, studio, repo):
    hub.put(repo, adapters())
    record = studio.do(pin_model, repo, patterns=("*SDXL*",))
    assert {file.path for file in record.pin.files} == set(adapters()) - {
        "Hyper-FLUX.1-dev-8steps-lora.safetensors"
    }
    assert not hub.fetched("FLUX.1-dev-8steps-lora.safetensors")
    claimed = {claim.path for claim in record.claims if claim.text_sha256}
    assert claimed == {"LICENSE.md", "Hyper-FLUX.1-dev-8steps-lora.license.txt"}


def test_a_pattern_that_nothing_matches_names_what_there_is(hub, studio, repo):
    hub.put(repo, adapters())
    with pytest.raises(UnknownName, match=r"\*\.gguf.*Hyper-SDXL"):
        studio.do(pin_model, repo, patterns=("*.gguf",))


def test_a_repository_without_a_tag_and_one_whose_tag_contradicts_are_written_down_as_found(
    hub, studio, repo
):
    hub.put(f"{repo}-untagged", {"model.safetensors": weights()})
    assert studio.do(pin_model, f"{repo}-untagged").claims == ()
    hub.put(repo, pipeline() | {"README.md": card(license="apache-2.0")})
    said = {claim.kind.value: claim.value for claim in studio.do(pin_model, repo).claims}
    assert said["hub_tag"] == "apache-2.0"
    assert hashlib.sha256(text("mit")).hexdigest() in {
        claim.text_sha256 for claim in studio.do(pin_model, repo).claims
    }


def test_the_same_bytes_from_two_uploaders_keep_both_claims(hub, studio, repo):
    for name, tag in (("one/pony", "mit"), ("two/pony", "other")):
        hub.put(name, {"README.md": card(license=tag), "pony.safetensors": weights(5)})
    one, two = (studio.do(pin_model, name) for name in ("one/pony", "two/pony"))
    digests = [{file.path: file.sha256 for file in each.pin.files}["pony.safetensors"] for each in (one, two)]
    assert digests[0] == digests[1]
    assert [each.claims[0].value for each in (one, two)] == ["mit", "other"]


# --- what is refused, with what would help --------------------------------------------


@pytest.mark.parametrize("path", ["unet/diffusion_pytorch_model.safetensors", "unet/config.json"])
def test_a_body_of_the_right_size_with_other_bytes_is_removed_and_nothing_is_pinned(hub, studio, repo, path):
    repository = hub.put(repo, pipeline())
    wrong = bytes(len(pipeline()[path]))
    repository.served[path] = wrong
    with pytest.raises(IntegrityFault, match="other bytes than were announced"):
        studio.do(pin_model, repo)
    kept = [
        file
        for file in studio.home.joinpath("hub", f"models--{repo.replace('/', '--')}").rglob("*")
        if file.is_file() and file.read_bytes() == wrong
    ]
    assert kept == []
    house = studio.here
    with unit_of_work(house.engine, read_only=True) as work, pytest.raises(UnknownName):
        work.models.pin_of(repo)
    repository.served.clear()
    assert studio.do(pin_model, repo).pin.repo == repo


def test_a_file_that_was_tampered_with_in_the_cache_is_brought_again(hub, studio, repo):
    hub.put(repo, pipeline())
    first = studio.do(pin_model, repo)
    house = studio.here
    root = house.hub.locate(repo, first.pin.revision)
    blob = (root / "unet/diffusion_pytorch_model.safetensors").resolve()
    blob.write_bytes(bytes(blob.stat().st_size))
    assert verify_files(str(root), first.pin.files) != ()
    studio.do(pin_model, repo)
    assert verify_files(str(root), first.pin.files) == ()


def test_a_line_that_drops_is_picked_up_where_it_dropped(hub, studio, repo):
    """The client keeps what came in pieces of ten megabytes."""
    large = weights(1, size=12 << 20)
    repository = hub.put(repo, {"model.safetensors": large})
    repository.cut_once["model.safetensors"] = 11 << 20
    record = studio.do(pin_model, repo)
    assert record.pin.files[0].sha256 == hashlib.sha256(large).hexdigest()
    ranges = [one.range for one in hub.requests if one.method == "GET" and "/cdn/" in one.path]
    assert ranges == ["", f"bytes={10 << 20}-"]


def test_a_safetensors_file_that_lies_about_itself_is_refused_though_its_digest_is_right(hub, studio, repo):
    hub.put(repo, {"model.safetensors": b'\x10\0\0\0\0\0\0\0{"a": 1, "a": 2}'})
    with pytest.raises(IntegrityFault, match="twice"):
        studio.do(pin_model, repo)


@pytest.mark.parametrize(
    "path", ["../../outside.json", "unet/../../x.json", "/etc/motd", "con.json", "a\\b.json", "x\ny.json"]
)
def test_a_path_that_leaves_the_repository_is_refused_before_anything_is_fetched(hub, studio, repo, path):
    hub.put(repo, {"README.md": card(), path: b"{}"})
    with pytest.raises(IntegrityFault, match="nothing was fetched"):
        studio.do(pin_model, repo)
    assert not hub.fetched("README.md")


def test_names_that_differ_by_case_alone_are_refused(hub, studio, repo):
    hub.put(repo, {"README.md": card(), "readme.md": card()})
    with pytest.raises(IntegrityFault, match="one file"):
        studio.do(pin_model, repo)


def test_weights_that_are_pickles_only_are_refused_with_the_way_to_convert_them(hub, studio, repo):
    hub.put(repo, {"README.md": card(), "unet/model.bin": b"\x80\x02"})
    with pytest.raises(Refused, match=r"rightstep model import acme/\S+ unet/model\.bin"):
        studio.do(pin_model, repo)
    assert not hub.fetched(".bin")


def test_programs_are_refused_unless_they_are_not_pinned(hub, studio, repo):
    hub.put(repo, {"README.md": card(), "model.safetensors": weights(), "pipeline.py": b"import os"})
    with pytest.raises(Refused, match=r"pipeline\.py"):
        studio.do(pin_model, repo)
    record = studio.do(pin_model, repo, patterns=("*.safetensors",))
    assert [file.path for file in record.pin.files] == ["README.md", "model.safetensors"]
    assert not hub.fetched(".py")


def test_a_configuration_that_asks_for_code_is_refused_or_left_out(hub, studio, repo):
    config = b'{"auto_map": {"AutoModel": "modeling.Evil"}}'
    hub.put(repo, {"README.md": card(), "model.safetensors": weights(), "config.json": config})
    with pytest.raises(Refused, match="auto_map"):
        studio.do(pin_model, repo)
    record = studio.do(pin_model, repo, patterns=("*.safetensors",))
    assert [file.path for file in record.pin.files] == ["README.md", "model.safetensors"]


@pytest.mark.parametrize(
    ("path", "body", "is_code"),
    [
        ("config.json", b'{"a": {"b": [{"auto_map": {}}]}}', True),
        ("config.json", b'{"a": ' * 60 + b"1" + b"}" * 60, True),
        ("config.json", b"{}", False),
        ("config.json", b"not json", False),
        ("notes.txt", b'{"auto_map": {}}', False),
        ("modular_model_index.json", b"{}", True),
        ("model_index.json", b'{"_class_name": ["pipeline", "Mine"]}', True),
        ("model_index.json", b'{"unet": ["my_unet", "Evil"]}', True),
        ("model_index.json", b'{"unet": ["diffusers", "UNet2DConditionModel"], "vae": [null, null]}', False),
    ],
)
def test_what_asks_for_code_of_the_repository_is_recognised(path, body, is_code):
    assert (remote_code_in(path, body) is not None) is is_code


def test_a_gate_is_closed_without_a_token_and_with_one_that_did_not_accept(hub, studio, repo):
    hub.put(repo, pipeline(), gated="manual")
    with pytest.raises(Refused, match="RIGHTSTEP_HUB_TOKEN"):
        studio.do(pin_model, repo)
    with pytest.raises(Refused, match="has not accepted"):
        studio.with_settings(hub_token="stranger").do(pin_model, repo)


def test_what_is_not_there_is_named_with_what_to_check(hub, studio, repo):
    repository = hub.put(repo, pipeline())
    repository.commit(pipeline(), branch="fp16")
    with pytest.raises(UnknownName, match="RIGHTSTEP_HUB_TOKEN"):
        studio.do(pin_model, "acme/nothing")
    with pytest.raises(UnknownName, match="main, fp16"):
        studio.do(pin_model, f"{repo}@fp32")
    with pytest.raises(UnknownName, match="40 digits"):
        studio.do(pin_model, f"{repo}@{repository.refs['main'][:8]}")
    with pytest.raises(UnknownName, match="org/name"):
        studio.do(pin_model, "no--good/../name")
    repository.is_disabled = True
    with pytest.raises(UnknownName, match="disabled"):
        studio.do(pin_model, repo)


def test_a_hub_that_does_not_answer_is_a_fault_of_the_service(hub, studio, repo):
    hub.is_down = True
    with pytest.raises(ServiceFault, match="RIGHTSTEP_HUB_ENDPOINT"):
        studio.do(pin_model, repo)
    nobody = studio.with_settings(hub_endpoint="http://127.0.0.1:9")
    with pytest.raises(ServiceFault, match="did not answer"):
        nobody.do(pin_model, repo)


def test_nothing_is_asked_where_the_hub_is_switched_off(hub, studio, repo):
    hub.put(repo, pipeline())
    record = studio.do(pin_model, repo)
    before = len(hub.requests)
    house = studio.here
    with pytest.raises(UnknownName, match="switched off"):
        pin_model(house, "acme/other")
    with pytest.raises(ServiceFault, match="RIGHTSTEP_HUB_OFFLINE"):
        house.hub.describe(repo)
    assert verify_files(str(house.hub.locate(repo, record.pin.revision)), record.pin.files) == ()
    assert len(hub.requests) == before


def test_pinning_again_fetches_no_file_again(hub, studio, repo):
    hub.put(repo, pipeline())
    first = studio.do(pin_model, repo)
    hub.requests.clear()
    assert studio.do(pin_model, repo).pin == first.pin
    assert [one.path for one in hub.requests if not one.path.startswith("/api/")] == []


def test_what_does_not_fit_on_the_disk_is_told_before_it_is_fetched(hub, studio, repo, small_disk):
    hub.put(repo, {"model.safetensors": weights(1, size=8 << 20)})
    with pytest.raises(StorageFault, match="needs 8"):
        studio.with_settings(home=small_disk).do(pin_model, repo)
    assert not hub.fetched(".safetensors")


def test_a_disk_that_fills_up_on_the_way_keeps_nothing_half(hub, studio, repo, small_disk):
    """More comes than was announced, so the room that was asked for is not enough."""
    repository = hub.put(repo, {"model.safetensors": weights(1)})
    repository.served["model.safetensors"] = bytes(8 << 20)
    with pytest.raises(StorageFault, match="disk is full"):
        studio.with_settings(home=small_disk).do(pin_model, repo)
    assert [
        path for path in (small_disk / "hub").rglob("*") if path.is_file() and path.stat().st_size > 4096
    ] == []
