"""Replicas for pictures on demand: a private Ray, Serve in it, both ended with the block.

They are this process's own: a night on the standing house keeps its workers, and what is killed here
leaves nothing behind that another command would have to know of.
"""

import fcntl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.bootstrap import House
from flows.keeping import declare_share
from flows.live import end_orphans, warm_canvas
from flows.pictures import cancel_orphans
from flows.planning import pinned_models, plan_manifest
from flows.signals import keep_sigterm
from flows.tasks import make_template
from flows.workshop import bench_options
from policy.errors import Refused, ServiceFault, StorageFault
from policy.manifest import RenderManifest, Shot
from policy.plan import PlanRefusal
from policy.tasks import StackLoad
from policy.tiers import ServiceLevel, ServiceTier
from policy.uses import IntendedUse
from policy.verdicts import from_reasons
from workers.cluster import start_local_ray, stop_ray

if TYPE_CHECKING:
    from workers.live_places import LivePlaces
    from workers.serving import PictureService

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Services:
    """Whoever renders while somebody waits or watches."""

    pictures: "PictureService"
    live: "LivePlaces | None"  # None where no session may be live


@contextmanager
def open_services(house: House, tell: Tell) -> Generator[Services]:
    """Replicas that are ready, warm stacks loaded, and places for live sessions; one such block a home."""
    settings, folder = house.settings, house.settings.home / "ray"
    if settings.credentials == "required":
        raise ServiceFault(
            "Pictures on demand carry no content credentials, and they are required.",
            "Set RIGHTSTEP_CREDENTIALS=auto, or ship jobs instead.",
        )
    with _alone(house):
        cancel_orphans(house)
        end_orphans(house)
        declare_share(house)
        warm, canvas = warm_loads(house), warm_canvas(house)
        most = max(settings.serve_replicas, settings.serve_replicas_most or 0)
        tell("starting Ray")
        with keep_sigterm():
            ray = start_local_ray(folder, most + settings.live_places)
        try:
            from workers.live_places import LivePlaces
            from workers.picture_bench import PictureBenchOptions
            from workers.serving import PictureService, ServingOptions  # Ray's environment is set by now

            group = settings.groups[0]
            bench = PictureBenchOptions(
                bench=bench_options(house, group), stacks=settings.serve_stacks, warm=warm
            )
            options = ServingOptions(
                bench=bench, least=settings.serve_replicas, most=most, gpus_per_replica=group.gpus
            )
            tell("starting replicas")
            with (
                PictureService(options) as pictures,
                LivePlaces(
                    options.bench.bench, settings.live_places, canvas, gpus=settings.live_gpus
                ) as live,
            ):
                yield Services(pictures=pictures, live=live if settings.live_places else None)
        finally:
            stop_ray(folder, ray)


def warm_loads(house: House) -> tuple[StackLoad, ...]:
    """The stacks that an order of each warm model would run on; Refused where it would be refused."""
    if not house.settings.serve_warm:
        return ()
    roots = {model.pin.pin_id: model.root for model in pinned_models(house).values()}
    loads: list[StackLoad] = []
    for model in house.settings.serve_warm:
        order = RenderManifest(
            name="warm-up",
            shots=(Shot(name="picture-1", prompt="", model=model),),
            service=ServiceLevel(tier=ServiceTier.INTERACTIVE),
            use=IntendedUse(act=house.settings.serve_use),
        )
        plan = plan_manifest(house, order)
        if isinstance(plan, PlanRefusal):
            raise Refused(
                f"{model} cannot be warmed up: it would be refused.",
                " ".join(plan.remedies),
                from_reasons(plan.reasons),
            )
        loads += [make_template(decision, roots, ()).load for decision in plan.decisions]
    return tuple(loads)


@contextmanager
def _alone(house: House) -> Generator[None]:
    """One process of a home takes orders for pictures; the system lets go of the lock when it dies."""
    path = house.settings.run_folder / "serve.lock"
    try:
        lock = path.open("a")
    except OSError as fault:
        raise StorageFault(f"{path} cannot be used: {fault.strerror}.", "Look at its folder.") from fault
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise ServiceFault(
                f"Pictures of {house.settings.home} are served already.", "End the other one first."
            ) from fault
        yield
