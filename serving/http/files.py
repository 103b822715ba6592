"""Files of the pages."""

from __future__ import annotations

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from adapters.http.headers import NOTHING


class Files(StaticFiles):
    """Files that browsers ask for again: they change with the version."""

    def __init__(self, package: str, folder: str, policy: str = NOTHING) -> None:
        """`policy`: the content security policy; a worker has that of its own file."""
        super().__init__(packages=[(package, folder)])
        self._policy = policy

    async def get_response(self, path: str, scope: Scope) -> Response:
        """See `StaticFiles`."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = self._policy
        return response
