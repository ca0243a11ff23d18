"""The local hub is taken for the real one by everything the published client does, not only by what we ask."""

from typing import Any

import pytest

from tests.local_hub.published import pipeline, weights

pytestmark = pytest.mark.timeout(900)


def as_the_client_sees_it(_house: Any, endpoint: str, repo: str, folder: str) -> tuple[Any, ...]:
    """In the other process: list, fetch the whole snapshot, and let the client check it."""
    import huggingface_hub

    api = huggingface_hub.HfApi(endpoint=endpoint, token=False)
    tree = {entry.path: entry.size for entry in api.list_repo_tree(repo, recursive=True)}
    huggingface_hub.snapshot_download(repo, cache_dir=folder, endpoint=endpoint, token=False)
    checked = api.verify_repo_checksums(repo, revision="main", cache_dir=folder)
    return tree, checked.checked_count, checked.mismatches, checked.missing_paths, checked.extra_paths


def test_listing_snapshot_and_the_clients_own_check_work(hub, studio, repo, tmp_path):
    files = pipeline() | {"unet/diffusion_pytorch_model.safetensors": weights(4, size=100_000)}
    hub.put(repo, files)
    tree, count, mismatches, missing, extra = studio.do(
        as_the_client_sees_it, hub.endpoint, repo, str(tmp_path / "cache")
    )
    assert tree == {path: len(body) for path, body in files.items()}
    assert (count, mismatches, missing, extra) == (len(files), [], [], [])


def test_the_client_itself_takes_a_body_of_the_right_size_for_the_right_one(hub, studio, repo, tmp_path):
    """Why everything is hashed here: should the client ever check, this test says so."""
    repository = hub.put(repo, pipeline())
    repository.served["unet/config.json"] = bytes(len(pipeline()["unet/config.json"]))
    _, _, mismatches, _, _ = studio.do(as_the_client_sees_it, hub.endpoint, repo, str(tmp_path / "cache"))
    assert [one["path"] if isinstance(one, dict) else one.path for one in mismatches] == ["unet/config.json"]
