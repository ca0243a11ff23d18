from pathlib import Path

import pytest

from flows.bootstrap import House
from flows.doctor import the_store_answers
from flows.planning import pinned_models
from flows.publishing import Publisher, make_publisher
from policy.errors import IntegrityFault, StorageFault
from policy.tasks import LocatedPart, StackLoad
from registry.verification import verify_files
from tests.factories import make_stack
from tests.local_s3.server import KEY, REGION, SECRET
from workers.model_cache import ModelCache
from workers.shared_artefacts import SharedArtefacts
from workers.store_addresses import StoreAddress


@pytest.fixture
def house(s3, make_house) -> House:
    return make_house(
        store="s3://house/night/",
        store_endpoint=s3.endpoint,
        store_region=REGION,
        store_key=KEY,
        store_secret=SECRET,
    )


def built_in(house: House, root: str = "") -> StackLoad:
    """A stack of one built-in model, the smallest, as a driver finds it; or as a node that lacks it does."""
    model = min(pinned_models(house).values(), key=lambda one: sum(file.size for file in one.pin.files))
    stack = make_stack(base=model.pin, adapters=())
    part = LocatedPart(pin_id=model.pin.pin_id, root=root or model.root)
    return StackLoad(stack=stack, parts=(part,), fuse=False)


def test_a_published_model_reaches_a_node_that_lacks_it_byte_for_byte(s3, house):
    load = built_in(house)
    publisher = make_publisher(house)
    publisher.publish(load)
    files = load.stack.base.files
    assert {key.rpartition("/")[2] for key in s3.objects} == {file.sha256 for file in files}
    held = ModelCache(house.settings.node_models).hold(built_in(house, root="/nowhere"))
    assert Path(held.load.parts[0].root).is_relative_to(house.settings.home / "models")
    assert verify_files(held.load.parts[0].root, files) == ()


def test_what_the_store_has_is_not_sent_again(s3, house):
    for _ in range(2):
        make_publisher(house).publish(built_in(house))
    assert s3.count("put") == len({file.sha256 for file in built_in(house).stack.base.files})


def test_a_damaged_model_is_not_published(tmp_path):
    load = StackLoad(
        stack=make_stack(adapters=()), parts=(LocatedPart(pin_id="", root="/nowhere"),), fuse=False
    )
    publisher = Publisher(StoreAddress(url=f"file://{tmp_path}/share"), tmp_path, verify_files)
    with pytest.raises(IntegrityFault, match="not published"):
        publisher.publish(load)
    assert not (tmp_path / "share").exists()


def test_the_artefacts_of_a_house_with_a_store_go_there(s3, house):
    assert isinstance(house.store, SharedArtefacts)
    made = house.store.put_bytes(b"pixels", "image/png")
    assert list(s3.objects) == [f"night/artefacts/{made.sha256[:2]}/{made.sha256}.png"]


def test_the_doctor_asks_the_store(s3, house):
    assert [one.detail for one in the_store_answers(house)] == ["s3://house/night"]
    s3.bucket = "another"
    with pytest.raises(StorageFault, match="s3://house/night"):
        list(the_store_answers(house))


def test_a_house_without_a_store_publishes_nothing_and_brings_nothing(make_house):
    house = make_house()
    assert make_publisher(house) is None
    assert list(the_store_answers(house)) == []
    assert house.settings.node_models is None
    assert house.settings.artefacts.name == "artefacts"
