"""``rightstep serve``: the HTTP API with pictures on demand."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from policy.errors import ServiceFault, WrongUse
from rightstep.cli.door import enter_house
from rightstep.cli.output import print_data, say

if TYPE_CHECKING:
    from rightstep.web.courses import Ear

Host = Annotated[
    str | None, typer.Option("--host", help="Where to listen; 127.0.0.1 by default.", show_default=False)
]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="8750 by default; 0 takes a free one.", show_default=False),
]


@contextmanager
def traces_to(endpoint: str | None) -> "Generator[tuple[Ear, ...]]":
    """Who sends traces, and nobody where none are asked for; ServiceFault where the extra is missing."""
    if endpoint is None:
        yield ()
        return
    try:
        from rightstep.web.traces import open_traces
    except ImportError as missing:
        raise ServiceFault(
            f"Traces cannot be sent: {missing}.", "Install the extra: pip install 'rightstep[otel]'."
        ) from missing
    with open_traces(endpoint) as traces:
        yield (traces,)


def serve(*, host: Host = None, port: Port = None) -> None:
    """Serve the HTTP API, with pictures while somebody waits at /v1/images/generations.

    Beyond this machine only once a key exists. Ctrl-C or SIGTERM ends it, and every process that it started.
    """
    from flows.serving import open_services
    from flows.signals import sigterm_as_ctrl_c
    from flows.steps import list_keys
    from policy.waiting import WaitingRoom
    from rightstep.web.app import build_app
    from rightstep.web.listening import note_for, refuse_bind
    from rightstep.web.live import Canvases
    from rightstep.web.pictures import PictureStudio
    from rightstep.web.server import listen, serve_app

    house = enter_house()
    settings = house.settings
    where = host or settings.serve_host
    has_keys = bool(list_keys(house))
    refusal = refuse_bind(where, has_keys=has_keys)
    if refusal is not None:
        raise WrongUse(refusal.detail, refusal.next_step)
    with (
        listen(where, settings.serve_port if port is None else port) as opened,
        sigterm_as_ctrl_c(),
        traces_to(settings.traces) as traces,
        open_services(house, say) as services,
    ):
        name = f"[{where}]" if ":" in where else where
        url = f"http://{name}:{opened.getsockname()[1]}"

        def tell() -> None:
            say(note_for(where, has_keys=has_keys))
            say(f"For a client of OpenAI's: base_url={url}/v1, and a key as api_key.")
            print_data(url)

        room = WaitingRoom(places=settings.serve_queue)
        studio = PictureStudio(port=services.pictures, room=room)
        live = None if services.live is None else Canvases(port=services.live)
        serve_app(build_app(house, images=studio, live=live, room=room, ears=traces), opened, tell)
    say("Ended.")
