"""A house with an API in front of it, and a renderer in the test's own process behind it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from flows.bootstrap import House, open_house
from flows.logs import set_up_logs
from flows.settings import Settings
from policy.waiting import WaitingRoom
from rightstep.web.app import build_app
from rightstep.web.live import Canvases
from rightstep.web.pictures import PictureStudio
from tests.integration.web.desk import NearDriver, NearPlaces, NearPort, client_of

NOW = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    home = tmp_path / "home"
    set_up_logs(home / "logs")
    settings = Settings(home=home, renderer="synthetic", workers=2, actor="tester")
    opened = open_house(settings, clock=lambda: NOW)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def driver(house: House) -> NearDriver:
    return NearDriver(house)


@pytest.fixture
def port(house: House) -> Iterator[NearPort]:
    opened = NearPort(house)
    yield opened
    opened.batcher.close()


@pytest.fixture
def room() -> WaitingRoom:
    return WaitingRoom(places=3)


@pytest.fixture
def places(house: House) -> NearPlaces:
    return NearPlaces(house, 1)


@pytest.fixture
def app(house: House, driver: NearDriver, port: NearPort, room: WaitingRoom, places: NearPlaces) -> FastAPI:
    images, live = PictureStudio(port=port, room=room), Canvases(port=places)
    return build_app(house, driver=driver, images=images, live=live, room=room)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return client_of(app)
