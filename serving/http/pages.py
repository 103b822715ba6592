"""The API's pages for people: Swagger UI from files that came with a package, without a content network."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from serving.http.files import Files

_FILES: Final = "/docs/files"
_POLICY: Final = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def add_pages(api: FastAPI) -> None:
    """Adds `/docs`. The application has no such page of its own."""
    api.mount(_FILES, Files("fastapi_offline", "static"), name="docs-files")
    api.add_api_route("/docs", _Page(api), include_in_schema=False, response_class=HTMLResponse)


class _Page:
    def __init__(self, api: FastAPI) -> None:
        page = get_swagger_ui_html(
            openapi_url=api.openapi_url or "",
            title=api.title,
            swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{_FILES}/swagger-ui.css",
            swagger_favicon_url=f"{_FILES}/favicon.png",
            swagger_ui_parameters={"defaultModelsExpandDepth": -1, "tryItOutEnabled": True},
        )
        self._html = bytes(page.body).decode()
        # the page's own scripts, by what they say: no other inline script runs
        policy = _POLICY.format(scripts=" ".join(map(_hash, _SCRIPT.findall(self._html))))
        self._headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}

    async def __call__(self) -> HTMLResponse:
        return HTMLResponse(self._html, headers=self._headers)


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
