"""Parameters whose allowed values depend on the pipeline."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

Route = Callable[..., Awaitable[Any]]


def with_parameters(route: Route, **parameters: tuple[Any, Any]) -> Route:
    """The route, for FastAPI.

    Args:
        route: Its other parameters have types of their own.
        parameters: By name: the type, and the default.
    """

    @wraps(route)
    async def typed(*args: Any, **given: Any) -> Any:
        return await route(*args, **given)

    signature = inspect.signature(route, eval_str=True)
    named = [
        parameter.replace(annotation=parameters[name][0], default=parameters[name][1])
        if name in parameters
        else parameter
        for name, parameter in signature.parameters.items()
    ]
    typed.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
    return typed
