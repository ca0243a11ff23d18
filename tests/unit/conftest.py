"""An object store for those who ask for one: a real server on loopback."""

from collections.abc import Iterator

import pytest

from tests.local_s3.server import LocalS3


@pytest.fixture
def s3() -> Iterator[LocalS3]:
    with LocalS3().running() as store:
        yield store
