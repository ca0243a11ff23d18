"""What do planning, ledger, gate and shipment add to a picture that somebody waits for?"""

import secrets
import time

from benchmarks.measurement import Measurement, at_most, median, plain, timed
from benchmarks.night import MODEL, temporary_house
from flows.bootstrap import House
from flows.pictures import OrderedPictures, order_pictures, settle_pictures
from flows.workshop import bench_options
from policy.audit import AuditEvent
from policy.costs import quantile
from policy.manifest import RenderManifest, Shot
from policy.tiers import ServiceLevel, ServiceTier
from policy.uses import Act, IntendedUse
from registry.unit_of_work import unit_of_work
from workers.batcher import Batcher
from workers.picture_bench import PictureBench, PictureBenchOptions

REQUESTS, WARM_UPS, SIDE = 200, 24, 64
P50_MS, P95_MS = 10.0, 20.0


def measure() -> Measurement:
    """One request at a time, beside two empty durable transactions: what cannot be saved."""
    before: list[float] = []
    after: list[float] = []
    floor: list[float] = []
    with temporary_house(renderer="synthetic", workers=1) as house:
        group = house.settings.groups[0]
        bench = PictureBench(PictureBenchOptions(bench=bench_options(house, group), stacks=1))
        batcher = Batcher(bench.render)
        for number in range(WARM_UPS + REQUESTS):
            seconds = _request(house, batcher, number)
            if number >= WARM_UPS:
                before.append(seconds[0])
                after.append(seconds[1])
                floor.append(timed(lambda: _two_commits(house)))
        batcher.close()
    whole = [one + other for one, other in zip(before, after, strict=True)]
    return Measurement(
        question="What do planning, ledger, gate and shipment add to a picture that somebody waits for?",
        figures=(
            at_most("P16", "host time of a request (p50)", median(whole) * 1000, P50_MS, "ms"),
            at_most("P16", "host time of a request (p95)", quantile(whole, 0.95) * 1000, P95_MS, "ms"),
            plain("before the render: plan, gate, ledger, lease (p50)", median(before) * 1000, "ms"),
            plain("after it: settle, judge, gate, shipment (p50)", median(after) * 1000, "ms"),
            plain("two durable transactions of one audit event each (p50)", median(floor) * 1000, "ms"),
            plain("host time / two durable transactions (p50)", median(whole) / median(floor), "ratio"),
        ),
        conditions=(
            f"{MODEL} at tier interactive, one picture of {SIDE} x {SIDE}, one request at a time, {REQUESTS} "
            f"after {WARM_UPS} to warm up; SQLite, fully synchronised; the steps alone, without HTTP and Ray;"
            f" the renderer is synthetic and is not timed."
        ),
        remark=(
            "Two durable transactions are what no request can do without; the figures stand and fall with "
            "them, and with whatever else the machine is doing."
        ),
        rounds={"before": before, "after": after, "two commits": floor},
    )


def _request(house: House, batcher: Batcher, seed: int) -> tuple[float, float]:
    """Seconds of the steps before a render and after it."""
    manifest = _manifest(seed)
    started = time.perf_counter()
    ordered = order_pictures(house, manifest)
    before = time.perf_counter() - started
    assert isinstance(ordered, OrderedPictures), ordered
    assert ordered.leased is not None
    results = [batcher.submit(task, 1).answer.result().result for task in ordered.leased.tasks]
    started = time.perf_counter()
    settled = settle_pictures(house, ordered, ordered.leased, results)
    after = time.perf_counter() - started
    assert settled.delivered is not None
    return before, after


def _manifest(seed: int) -> RenderManifest:
    shot = Shot(name="picture-1", prompt="a flat fox", model=MODEL, seed=seed, width=SIDE, height=SIDE)
    return RenderManifest(
        name=f"images-{secrets.token_hex(6)}",
        shots=(shot,),
        service=ServiceLevel(tier=ServiceTier.INTERACTIVE),
        use=IntendedUse(act=Act.HOST_SERVICE_COMMERCIAL),
        owner="benchmark",
        recipients=("benchmark",),
    )


def _two_commits(house: House) -> None:
    for _ in range(2):
        with unit_of_work(house.engine) as work:
            event = AuditEvent(tag="benchmark:floor:written", actor="benchmark", subject="", payload="{}")
            work.audit.append(event, house.clock())
            work.commit()
