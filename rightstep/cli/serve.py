"""``rightstep serve``: the HTTP API with pictures on demand."""

from typing import Annotated

import typer

from policy.errors import WrongUse
from rightstep.cli.door import enter_house
from rightstep.cli.output import print_data, say

Host = Annotated[
    str | None, typer.Option("--host", help="Where to listen; 127.0.0.1 by default.", show_default=False)
]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="8750 by default; 0 takes a free one.", show_default=False),
]


def serve(*, host: Host = None, port: Port = None) -> None:
    """Serve the HTTP API, with pictures while somebody waits at /v1/images/generations.

    Beyond this machine only once a key exists. Ctrl-C or SIGTERM ends it, and every process that it started.
    """
    from flows.serving import open_pictures
    from flows.signals import sigterm_as_ctrl_c
    from flows.steps import list_keys
    from policy.waiting import WaitingRoom
    from rightstep.web.app import build_app
    from rightstep.web.listening import note_for, refuse_bind
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
        open_pictures(house, say) as service,
    ):
        name = f"[{where}]" if ":" in where else where
        url = f"http://{name}:{opened.getsockname()[1]}"

        def tell() -> None:
            say(note_for(where, has_keys=has_keys))
            say(f"For a client of OpenAI's: base_url={url}/v1, and a key as api_key.")
            print_data(url)

        studio = PictureStudio(port=service, room=WaitingRoom(places=settings.serve_queue))
        serve_app(build_app(house, images=studio), opened, tell)
    say("Ended.")
