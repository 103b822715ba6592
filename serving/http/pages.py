"""The API's pages for people: Swagger UI from files that came with a package, without a content network."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

_FILES: Final = "/docs/files"


def add_pages(api: FastAPI) -> None:
    """Adds `/docs`. The application has no such page of its own."""
    api.mount(_FILES, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs-files")
    api.add_api_route("/docs", _Page(api), include_in_schema=False, response_class=HTMLResponse)


class _Page:
    def __init__(self, api: FastAPI) -> None:
        self._html = get_swagger_ui_html(
            openapi_url=api.openapi_url or "",
            title=api.title,
            swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{_FILES}/swagger-ui.css",
            swagger_favicon_url=f"{_FILES}/favicon.png",
            swagger_ui_parameters={"defaultModelsExpandDepth": -1, "tryItOutEnabled": True},
        )

    async def __call__(self) -> HTMLResponse:
        return self._html
