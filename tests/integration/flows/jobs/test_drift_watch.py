"""The drift watch as Prefect runs it: silence of a hub is never taken for good news."""

import pytest

from flows.planning import pin_records
from flows.prefect_server import standing_server, use_server
from registry.unit_of_work import unit_of_work
from registry.upstream import UpstreamFacts

REPO = "rightstep/emoji-64"


@pytest.mark.slow
def test_a_watch_completes_where_every_pin_was_compared_and_fails_where_one_was_not(make_house):
    house = make_house()
    server = standing_server(house.settings)
    assert server is not None
    use_server(house.settings.home, server)
    from flows.drift_watch import drift_watch

    state = drift_watch(return_state=True)
    assert (state.is_completed(), state.message) == (True, "0 pins compared, 0 new findings.")
    pin = pin_records(house)[REPO].pin
    facts = UpstreamFacts(asked=REPO, repo=REPO, revision=pin.revision, endpoint="http://127.0.0.1:9")
    with unit_of_work(house.engine) as work:
        work.upstream.save_snapshot(pin, facts, (), actor="tester", now=house.clock())
        work.commit()
    state = drift_watch(return_state=True)
    assert state.is_failed()
    assert state.message == "0 pins compared, 0 new findings. 1 pin could not be compared."
