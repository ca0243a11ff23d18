"""The seam for pictures on demand: whoever can make one at once brings its own routes."""

from typing import Protocol

from fastapi import APIRouter

from rightstep.web.desk import Desk


class ImageStudio(Protocol):
    """Makes a picture while somebody waits; whoever has renderers beside the app brings one."""

    def router(self, desk: Desk) -> APIRouter:
        """The routes under ``/v1/images``: their failures are told in OpenAI's shape."""
        ...
