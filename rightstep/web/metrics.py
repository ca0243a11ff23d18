"""``/metrics``: what this process answers, renders and refuses, for Prometheus; and what the ledger holds.

Labels are names of ours alone (routes as templates, codes, stages, methods): never an id, and never
what a caller wrote. So there are as many series as there is code.
"""

import threading
import time
from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.bootstrap import House
from flows.steps import count_work
from policy.access import Scope
from policy.errors import RightstepError
from policy.waiting import WaitingRoom
from registry.records import WorkCounts
from rightstep.version import version_text
from rightstep.web.courses import Course, RenderedBatch
from rightstep.web.desk import Desk

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 32)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HOUR = 3600
FRESH_SECONDS = 5.0  # how old the counts of the ledger may be
MOST_REASONS = 100  # distinct codes of refusals; ours are a few dozen
OTHER = "other"
EXAMPLE = """# HELP rightstep_http_requests_total Requests that were answered.
# TYPE rightstep_http_requests_total counter
rightstep_http_requests_total{method="POST",route="/v1/images/generations",status="200"} 12.0
"""


class LedgerCounts(Collector):
    """What the ledger holds, asked for at most once in a few seconds however many scrape."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lock = threading.Lock()
        self._asked = -FRESH_SECONDS
        self._found: WorkCounts | None = None

    def collect(self) -> Iterator[Metric]:
        found = self._counts()
        yield GaugeMetricFamily(
            "rightstep_ledger_up", "Whether the ledger answers.", value=float(found is not None)
        )
        if found is None:
            return
        jobs = GaugeMetricFamily("rightstep_jobs", "Jobs in the ledger by state.", labels=("state",))
        for state, count in found.jobs:
            jobs.add_metric((state.value,), count)
        yield jobs
        yield GaugeMetricFamily(
            "rightstep_shots_open",
            "Shots that are still to be made, of jobs that are not over.",
            value=found.open_shots,
        )

    def _counts(self) -> WorkCounts | None:
        with self._lock:
            if time.monotonic() - self._asked >= FRESH_SECONDS:
                try:
                    self._found = count_work(self._house)
                except RightstepError:
                    self._found = None
                self._asked = time.monotonic()
            return self._found


class Metrics:
    """The metrics of one app; it hears of every request."""

    def __init__(self, house: House, room: WaitingRoom | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series a counter, for nobody
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(LedgerCounts(house))
        group = house.settings.fleet.groups[0]  # pictures on demand are rendered by the first group
        self._price, self._currency = group.price_per_device_hour, house.settings.currency
        self._reasons: set[str] = set()
        Gauge("rightstep_build_info", "The version that runs.", ("version",), registry=registry).labels(
            version_text()
        ).set(1)
        self._requests = Counter(
            "rightstep_http_requests",
            "Requests that were answered; status 0 where the caller left first.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "rightstep_http_request_duration_seconds",
            "From the first byte of a request to the last of its answer, also of one that is a stream.",
            ("method", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "rightstep_request_stage_seconds",
            "What a request waited for: plan, wait, load, denoise, store, deliver.",
            ("route", "stage"),
            buckets=SECONDS,
            registry=registry,
        )
        self._problems = Counter(
            "rightstep_http_problems",
            "Requests that failed or were turned away, by the code of the problem.",
            ("code", "status"),
            registry=registry,
        )
        self._refusals = Counter(
            "rightstep_refusals",
            "Reasons of refused orders by their code; an order may be refused for several.",
            ("reason",),
            registry=registry,
        )
        self._streams = Gauge(
            "rightstep_event_streams_open", "Streams of server-sent events that are open.", registry=registry
        )
        self._pictures = Counter(
            "rightstep_pictures", "Pictures rendered on demand by method.", ("method",), registry=registry
        )
        self._batches = Counter("rightstep_batches", "Batches rendered on demand.", registry=registry)
        self._sizes = Histogram(
            "rightstep_batch_pictures",
            "For each picture, how many were rendered in one batch with it, itself included.",
            buckets=SIZES,
            registry=registry,
        )
        self._loads = Counter(
            "rightstep_stack_loads", "Stacks that a replica had to load for a batch.", registry=registry
        )
        self._device = Counter(
            "rightstep_picture_device_seconds",
            "Device time of pictures on demand, loading included.",
            registry=registry,
        )
        self._cost = Counter(
            "rightstep_picture_cost",
            "What that device time cost, where a price is set.",
            ("currency",),
            registry=registry,
        )
        if room is not None:
            places = Gauge(
                "rightstep_waiting_room_places",
                "Requests that may wait or render at once.",
                registry=registry,
            )
            taken = Gauge(
                "rightstep_waiting_room_places_taken", "Requests that wait or render now.", registry=registry
            )
            places.set(room.places)
            taken.set_function(lambda: room.taken)

    def streams(self, change: int) -> None:
        self._streams.inc(change)

    def ended(self, course: Course) -> None:
        method = course.method if course.method in METHODS else OTHER
        self._requests.labels(method, course.route, str(course.status)).inc()
        self._seconds.labels(method, course.route).observe(course.seconds)
        for name, seconds in course.stage_seconds.items():
            self._stages.labels(course.route, name).observe(seconds)
        if course.problem:
            self._problems.labels(course.problem, str(course.status)).inc()
        for reason in course.reasons:
            self._refusals.labels(self._bounded(reason)).inc()
        for batch in course.batches:
            self._rendered(batch)

    def _rendered(self, batch: RenderedBatch) -> None:
        self._pictures.labels(batch.method).inc(batch.made)
        self._batches.inc(batch.share)
        for _ in range(batch.asked):
            self._sizes.observe(batch.pictures)
        if batch.is_load:
            self._loads.inc(batch.share)
        self._device.inc(batch.device_seconds)
        if self._price is not None:
            self._cost.labels(self._currency).inc(batch.device_seconds / HOUR * self._price)

    def _bounded(self, reason: str) -> str:
        if reason not in self._reasons and len(self._reasons) >= MOST_REASONS:
            return OTHER
        self._reasons.add(reason)
        return reason

    def router(self, desk: Desk) -> APIRouter:
        """The route that Prometheus asks."""
        router = APIRouter(tags=["health"])

        @router.get(
            "/metrics",
            summary="Figures for Prometheus",
            dependencies=[desk.doors.needs(Scope.READ, unless_local=True)],
            response_class=PlainTextResponse,
            responses={
                200: {
                    "description": "Prometheus' text format, version 0.0.4.",
                    "content": {"text/plain": {"schema": {"type": "string"}, "example": EXAMPLE}},
                }
            },
        )
        def metrics() -> PlainTextResponse:
            """What this process has answered since it began, and what the ledger holds now."""
            return PlainTextResponse(generate_latest(self.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

        return router
