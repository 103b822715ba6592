"""Asks this container's role for its health: `python -m adapters.health_probe`. Exit code 1 where it is not well.

Over a plain connection: no proxy of the environment may come between.
"""

from __future__ import annotations

import http.client
import os
import sys
from typing import Final

from adapters.listening import Place

TIMEOUT_S: Final = 2.0


def healthy(host: str, port: int) -> bool:
    """Whether the role whose metrics are served there lives."""
    place = Place(host, port, "metrics", "FOURFOLD_METRICS")
    connection = http.client.HTTPConnection(place.near_host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    well = healthy(os.environ.get("FOURFOLD_METRICS_HOST", "127.0.0.1"), int(os.environ["FOURFOLD_METRICS_PORT"]))
    sys.exit(not well)
