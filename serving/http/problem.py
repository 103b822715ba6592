"""Problems: what the API answers where it has no answer, as RFC 9457 says."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from adapters.http.problems import MEDIA_TYPE, problem_document
from core.errors import UnavailableError

_SCHEMA: Final = {"$ref": "#/components/schemas/Problem"}
#: What every operation can answer with, whatever it is asked: status and when.
_EVERYWHERE: Final = {
    HTTPStatus.BAD_REQUEST: "The request is not HTTP, or has no header `Host` or several.",
    HTTPStatus.REQUEST_TIMEOUT: "The head of the request took too long.",
    HTTPStatus.MISDIRECTED_REQUEST: "The host that was asked for is unknown here: see `FOURFOLD_API_HOSTS`.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A bug: the log of `serve` has the traceback.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too many connections at once: try again in a moment.",
}
_PARTS: Final = ("query", "path")


class Problem(BaseModel):
    """Why there is no answer."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(description="The kind of problem: the name of the status.", examples=["Service Unavailable"])
    status: int = Field(description="The status of the response.", examples=[503])
    detail: str = Field(
        description="What is wrong and what to do, in one line.",
        examples=["Redis does not answer: connection refused"],
    )


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def wrong(parameter: str, why: str) -> ProblemError:
    """A parameter that cannot be answered, status 422."""
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{parameter}: {why}")


def missing(what: str) -> ProblemError:
    """Something that is not there, status 404."""
    return ProblemError(HTTPStatus.NOT_FOUND, what)


def documented(**details: str) -> dict[int | str, dict[str, Any]]:
    """Problems of a route for its OpenAPI document: `wrong`, `missing` and `away` to when they come."""
    statuses = {"wrong": 422, "missing": 404, "away": 503}
    return {statuses[kind]: _described(HTTPStatus(statuses[kind]), text) for kind, text in details.items()}


def add_problems(document: dict[str, Any]) -> None:
    """Completes an OpenAPI document: the schema of problems, and at each operation those that all can answer with."""
    components = document["components"]
    components["schemas"]["Problem"] = Problem.model_json_schema()
    components["responses"] = {_component(status): _described(status, text) for status, text in _EVERYWHERE.items()}
    for item in document["paths"].values():
        for operation in item.values():
            responses = operation["responses"]
            for status in _EVERYWHERE:
                responses.setdefault(str(int(status)), {"$ref": f"#/components/responses/{_component(status)}"})
            operation["responses"] = dict(sorted(responses.items()))


def _component(status: HTTPStatus) -> str:
    return status.phrase.replace(" ", "")


def _described(status: HTTPStatus, text: str) -> dict[str, Any]:
    example = problem_document(status, text.replace("`", ""))
    return {"description": text, "content": {MEDIA_TYPE: {"schema": _SCHEMA, "example": example}}}


def away_document(detail: str) -> dict[str, Any]:
    """The problem of an answer that cannot be given now."""
    return problem_document(HTTPStatus.SERVICE_UNAVAILABLE, detail)


def add_handlers(api: FastAPI) -> None:
    """Makes problems of all errors that are meant for people."""

    @api.exception_handler(ProblemError)
    async def problem(_: Request, error: ProblemError) -> JSONResponse:
        return _response(error.status, error.detail)

    @api.exception_handler(UnavailableError)
    async def unavailable(_: Request, error: UnavailableError) -> JSONResponse:
        return _response(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "1"})

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return _response(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(map(_line, error.errors())))

    @api.exception_handler(HTTPException)
    async def routing(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        detail = error.detail if error.detail != status.phrase else f"{status.description or status.phrase}; see /docs"
        return _response(status, detail, error.headers)

    @api.exception_handler(Exception)
    async def bug(_request: Request, error: Exception) -> JSONResponse:
        # it is raised again after this answer, and logged
        detail = f"a bug ({type(error).__name__}): the log of serve has the traceback"
        return _response(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _response(status: HTTPStatus, detail: str, headers: Any = None) -> JSONResponse:
    return JSONResponse(problem_document(status, detail), status, headers, MEDIA_TYPE)


def _line(error: dict[str, Any]) -> str:
    place = [str(part) for part in error["loc"] if part not in _PARTS]
    message = str(error["msg"])
    return f"{place[0] if place else 'request'}: {message[0].lower()}{message[1:]}"
