"""The app: routers by resource behind one gate. It plans, submits and tells; somebody else renders."""

from collections.abc import Sequence

from fastapi import FastAPI

from flows.bootstrap import House
from policy.waiting import WaitingRoom
from rightstep.version import version_text
from rightstep.web import events, health, jobs, model_list, plans, shots
from rightstep.web.courses import Ear
from rightstep.web.desk import Desk, Driver, StandingHouse
from rightstep.web.documents import DESCRIPTION, describe
from rightstep.web.doors import Doorkeeper
from rightstep.web.images import ImageStudio
from rightstep.web.limits import Gate, Limits
from rightstep.web.live import LiveStudio
from rightstep.web.metrics import Metrics
from rightstep.web.problems import answer_failures
from rightstep.web.request_ids import RequestIds

ROUTERS = (
    health.make_router,
    plans.make_router,
    jobs.make_router,
    shots.make_router,
    events.make_router,
    model_list.make_router,
)


def build_app(
    house: House,
    *,
    driver: Driver | None = None,
    images: ImageStudio | None = None,
    live: LiveStudio | None = None,
    limits: Limits | None = None,
    room: WaitingRoom | None = None,
    ears: Sequence[Ear] = (),
) -> FastAPI:
    """The HTTP API of a house.

    ``driver`` renders what is submitted: the standing house of the same home, unless another
    is given. ``images`` makes pictures while somebody waits, ``live`` shows them as they change;
    without these there are no such routes.
    ``room`` is where those wait, for the metrics; ``ears`` hear of every request.
    """
    app = FastAPI(
        title="Rightstep",
        version=version_text(),
        description=DESCRIPTION,
        docs_url=None,  # its pages would be fetched from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    desk = Desk(house=house, driver=driver or StandingHouse(house=house), doors=Doorkeeper(house))
    for make_router in ROUTERS:
        app.include_router(make_router(desk))
    if images is not None:
        app.include_router(images.router(desk))
    if live is not None:
        app.include_router(live.router(desk))
    metrics = Metrics(house, room)
    for collector in live.figures.collectors if live is not None else ():
        metrics.registry.register(collector)
    app.include_router(metrics.router(desk))
    answer_failures(app)
    describe(app)
    app.add_middleware(Gate, limits=limits or Limits())
    app.add_middleware(RequestIds, ears=(metrics, *ears))  # the last one added is the first to see a request
    return app
