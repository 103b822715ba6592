"""Pollers of merged answers: in this process, and over HTTP."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from core.errors import UnavailableError
from core.position import PartitionKey
from modes.settings import Settings
from modes.wiring.answers import merge
from serving.answer import Answer
from serving.merge import Merge
from tests.support.shop import DIMENSIONS

TIMEOUT_S: Final = 10.0
UNAVAILABLE: Final = 503


class Polled(NamedTuple):
    """An answer, or a document of the API, when it came (seconds since 1970), and the offsets that it names."""

    at: float
    answer: Answer | dict[str, Any]
    vector: dict[PartitionKey, int]


class Poller(threading.Thread):
    """Asks without pause until `stop`."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(name="poller", daemon=True)
        self._pause_s = pause_s
        self._ended = threading.Event()
        self.polled: list[Polled] = []
        #: what it was told when there was no answer
        self.refused: list[str] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        """Polls until `stop`."""
        try:
            while not self._ended.wait(self._pause_s):
                self.ask()
        except Exception as error:  # noqa: BLE001 - told by `stop`
            self.failure = error

    def ask(self) -> None:
        """One question."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends its connections."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends it. Raises what it raised."""
        self._ended.set()
        self.join()
        self.close()
        if self.failure is not None:
            raise self.failure


class MergePoller(Poller):
    """Asks a `Merge` of its own: every cell of the answer is kept."""

    def __init__(self, settings: Settings, pause_s: float, make: Callable[[Settings], Merge] = merge) -> None:
        super().__init__(pause_s)
        self._merge = make(settings)

    def ask(self) -> None:
        """One answer."""
        try:
            answer = self._merge.answer()
            self.polled.append(Polled(time.time(), answer, dict(answer.vector)))
        except UnavailableError as error:
            self.refused.append(str(error))

    def close(self) -> None:
        """Ends the connection to Redis."""
        self._merge.close()


class ApiPoller(Poller):
    """Asks the API over one connection, dimension after dimension."""

    def __init__(self, host: str, port: int, pause_s: float) -> None:
        super().__init__(pause_s)
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._asked = 0

    def ask(self) -> None:
        """One request."""
        dimension = DIMENSIONS[self._asked % len(DIMENSIONS)]
        self._asked += 1
        path = f"/v1/totals?dimension={dimension}"
        try:
            try:
                response, body = self._get(path)
            except http.client.RemoteDisconnected:
                # it was idle for longer than the server keeps a connection: as every client does, over a new one
                response, body = self._get(path)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self.refused.append(f"API: {error!r}")
            return
        document = json.loads(body)
        if response.status == UNAVAILABLE:
            self.refused.append(document["detail"])
            return
        assert response.status == 200, (response.status, document)
        if not self.polled or self.polled[-1].answer != document:
            vector = {PartitionKey.parse(s): offset for s, offset in document["provenance"]["offsets"].items()}
            self.polled.append(Polled(time.time(), document, vector))

    def _get(self, path: str) -> tuple[http.client.HTTPResponse, bytes]:
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        return response, response.read()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()
