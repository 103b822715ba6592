"""A problem as RFC 9457 says: what an HTTP server answers where it has no answer, in one line of JSON."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

MEDIA_TYPE: Final = "application/problem+json"


def problem_document(status: HTTPStatus, detail: str) -> dict[str, Any]:
    """The JSON document of a problem. `detail`: what is wrong and what to do, in one line."""
    return {"title": status.phrase, "status": int(status), "detail": detail}


def problem_line(status: HTTPStatus, detail: str) -> bytes:
    """`problem_document` as one line of ASCII."""
    return json.dumps(problem_document(status, detail)).encode() + b"\n"
