"""The dashboard's page and its files."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from serving.http.files import Files

FILES: Final = "/dashboard"
#: Nothing from elsewhere, nothing inline: what an event field says can never be run. Text may be evaluated for the sake
#: of whoever drives the page from outside, as by Playwright's `wait_for_function`; the page's own scripts never do it.
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}


def add_dashboard(api: FastAPI) -> None:
    """Adds `/` and the files."""
    page = files("serving.dashboard").joinpath("index.html").read_text()

    async def dashboard() -> HTMLResponse:
        return HTMLResponse(page, headers=_HEADERS)

    api.mount(FILES, Files("serving", "dashboard", _POLICY), name="dashboard-files")
    api.add_api_route("/", dashboard, include_in_schema=False, response_class=HTMLResponse)
