"""Spans of real requests, as a receiver of OTLP over HTTP gets them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from flows.bootstrap import House
from policy.errors import ServiceFault
from policy.waiting import WaitingRoom
from rightstep.cli.serve import traces_to
from rightstep.web.app import build_app
from rightstep.web.pictures import PictureStudio
from tests.contract.house import fresh_python
from tests.integration.web.desk import HERE, SHAPES, NearDriver, NearPort, client_of

PATH = "/v1/images/generations"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Receiver:
    """Takes what an OTLP exporter posts."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.paths: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.paths.add(self.path)
                receiver.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library names it
                """Says nothing."""

        self.server = ThreadingHTTPServer((HERE, 0), Handler)

    @property
    def address(self) -> str:
        return f"http://{HERE}:{self.server.server_port}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@contextmanager
def listening() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


def attributes_of(span: Span) -> dict[str, str | int | float]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.fixture
def received(house: House, driver: NearDriver, port: NearPort, room: WaitingRoom) -> list[Span]:
    """The spans of a picture that was asked for within a trace, of a refusal, and of two looks at health."""
    with listening() as receiver:
        with traces_to(receiver.address) as ears:
            studio = PictureStudio(port=port, room=room)
            client = client_of(build_app(house, driver=driver, images=studio, ears=ears))
            wish = {"prompt": "a private fox", "model": "rightstep/emoji-64"}
            parent = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "traced"}
            assert client.post(PATH, json=wish, headers=parent).status_code == 200
            assert client.post(PATH, json={**wish, "loras": [{"repo": SHAPES}]}).status_code == 422
            client.get("/healthz")
            client.get("/metrics")
        assert receiver.paths == {"/v1/traces"}
        services = {
            one.value.string_value
            for request in receiver.requests
            for resource in request.resource_spans
            for one in resource.resource.attributes
            if one.key == "service.name"
        }
        assert services == {"rightstep"}
        return receiver.spans


def test_a_picture_is_a_tree_of_spans_in_the_trace_of_its_caller(received: list[Span]):
    ours = [span for span in received if span.trace_id.hex() == TRACE]
    (root,) = [span for span in ours if span.kind == Span.SPAN_KIND_SERVER]
    assert root.parent_span_id.hex() == PARENT
    assert root.name == f"POST {PATH}"
    told = attributes_of(root)
    assert (told["http.route"], told["http.response.status_code"]) == (PATH, 200)
    assert told["rightstep.request_id"] == "traced"
    below = {span.name for span in ours if span.parent_span_id == root.span_id}
    assert {"plan", "render", "deliver"} <= below
    (render,) = [span for span in ours if span.name == "render"]
    made = attributes_of(render)
    assert (made["rightstep.method"], made["rightstep.steps"]) == ("emoji-64-lcm", 4)
    assert len(str(made["rightstep.stack_id"])) == 64
    inside = [span for span in ours if span.parent_span_id == render.span_id]
    assert [span.name for span in inside] == ["wait", "load", "denoise", "store"]
    for span in inside:
        assert render.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= render.end_time_unix_nano


def test_a_refusal_is_a_trace_of_its_own_and_no_prompt_is_in_any(received: list[Span]):
    (refused,) = [span for span in received if attributes_of(span).get("error.type") == "refused"]
    assert not refused.parent_span_id
    assert refused.trace_id.hex() != TRACE
    assert not any("private" in str(span) for span in received)
    assert {attributes_of(span)["http.route"] for span in received if span.kind == Span.SPAN_KIND_SERVER} == {
        PATH
    }


def test_a_receiver_that_is_down_disturbs_no_request_and_is_in_the_log(house: House, driver: NearDriver):
    with listening() as receiver:
        gone = receiver.address
    with traces_to(gone) as ears:
        client = client_of(build_app(house, driver=driver, ears=ears))
        assert client.get("/v1/jobs").status_code == 200
    assert '"logger": "opentelemetry' in (house.settings.logs / "rightstep.log").read_text()


def test_without_the_setting_nothing_of_it_is_loaded_and_without_the_extra_it_says_so():
    program = (
        "import sys; from rightstep.cli.serve import traces_to\n"
        "with traces_to(None) as ears: print(ears, 'opentelemetry' in sys.modules)\n"
        "sys.modules['opentelemetry'] = None\n"
        "try:\n    traces_to('http://127.0.0.1:9').__enter__()\n"
        "except Exception as error: print(type(error).__name__, error.next_step)\n"
    )
    told = fresh_python(program)
    assert told.stdout.splitlines() == [
        "() False",
        f"{ServiceFault.__name__} Install the extra: pip install 'rightstep[otel]'.",
    ], told.stderr
