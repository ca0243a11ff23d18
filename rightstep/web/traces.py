"""Traces: each request as spans for an OTLP receiver, as a part of the caller's trace where it brings one.

A request costs nothing until it is over: its spans are made of what was noted of it, and a thread sends
them. The libraries are an extra: this module is imported only where traces are asked for.
"""

import logging
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from flows.logs import ROOT
from flows.steps import Stage
from rightstep.version import version_text
from rightstep.web.courses import Course, RenderedBatch

UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})
TIMEOUT_SECONDS = 5
NANO = 1e9
SERVER_ERROR = 500
Attributes = dict[str, str | int | float]


@contextmanager
def open_traces(endpoint: str) -> "Generator[Traces]":
    """An ear that sends traces to ``endpoint``/v1/traces; what is noted when the block ends is still sent."""
    _log_with_ours("opentelemetry")
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=TIMEOUT_SECONDS)
    resource = Resource.create({"service.name": "rightstep", "service.version": version_text()})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield Traces(provider)
    finally:
        provider.shutdown()


def _log_with_ours(name: str) -> None:
    """A receiver that is down is a matter for the house's log, not for the terminal."""
    log = logging.getLogger(name)
    log.propagate = False
    log.handlers = list(logging.getLogger(ROOT).handlers)


class Traces:
    """Makes the spans of a request once it is over."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("rightstep.web", version_text())
        self._propagator = TraceContextTextMapPropagator()

    def streams(self, change: int) -> None:
        """A stream is a request like any other here."""

    def ended(self, course: Course) -> None:
        if course.route in UNTRACED:
            return
        span = self._tracer.start_span(
            f"{course.method} {course.route}",
            context=self._propagator.extract({"traceparent": course.traceparent}),
            kind=SpanKind.SERVER,
            start_time=_nano(course.began),
            attributes=_attributes_of(course),
        )
        if course.status >= SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))
        within = set_span_in_context(span)
        self._stages(course.stages, within)
        for batch in course.batches:
            self._batch(batch, within)
        course.trace_id = format_trace_id(span.get_span_context().trace_id)
        span.end(_nano(course.began + course.seconds))

    def _batch(self, batch: RenderedBatch, within: Context) -> None:
        attributes: Attributes = {
            "rightstep.method": batch.method,
            "rightstep.steps": batch.steps,
            "rightstep.stack_id": batch.stack_id,
            "rightstep.batch_pictures": batch.pictures,
            "rightstep.device_seconds": batch.device_seconds,
        }
        span = self._tracer.start_span(
            "render", context=within, start_time=_nano(batch.began), attributes=attributes
        )
        self._stages(batch.stages, set_span_in_context(span))
        span.end(_nano(batch.began + batch.seconds))

    def _stages(self, stages: Iterable[Stage], within: Context) -> None:
        for one in stages:
            if not one.seconds:
                continue  # a stack that was resident was not loaded
            span = self._tracer.start_span(one.name, context=within, start_time=_nano(one.began))
            span.end(_nano(one.began + one.seconds))


def _attributes_of(course: Course) -> Attributes:
    """By the semantic conventions of OpenTelemetry for HTTP, and what is ours under our name."""
    attributes: Attributes = {
        "http.request.method": course.method,
        "http.route": course.route,
        "http.response.status_code": course.status,
        "rightstep.request_id": course.request_id,
    }
    if course.job_id:
        attributes["rightstep.job_id"] = course.job_id
    if course.problem:
        attributes["error.type"] = course.problem
    return attributes


def _nano(seconds: float) -> int:
    return int(seconds * NANO)
