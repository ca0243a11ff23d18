"""``GET /live``: the page with the canvas, served as it lies here; it asks nobody else for anything."""

from collections.abc import Callable
from importlib import resources

from fastapi import APIRouter
from fastapi.responses import Response

PAGES = resources.files("rightstep.web") / "pages"
# Scripts and styles of our own alone, a socket to ourselves, and no other page around it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
SERVED = {
    "/live": ("live.html", "text/html; charset=utf-8"),
    "/live/canvas.css": ("canvas.css", "text/css; charset=utf-8"),
    "/live/canvas.js": ("canvas.js", "text/javascript; charset=utf-8"),
}


def make_page_router() -> APIRouter:
    """The page and what belongs to it; open to everybody, for it shows nothing before a ticket is given."""
    router = APIRouter(include_in_schema=False)
    for path, (name, media_type) in SERVED.items():
        router.add_api_route(path, _served(name, media_type), methods=["GET"])
    return router


def _served(name: str, media_type: str) -> Callable[[], Response]:
    body = (PAGES / name).read_bytes()

    def serve() -> Response:
        return Response(body, media_type=media_type, headers=HEADERS)

    return serve
