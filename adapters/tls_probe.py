"""Whether TLS is spoken at an address."""

from __future__ import annotations

import socket
import ssl


def speaks_tls(host: str, port: int, timeout_s: float) -> bool:
    """Only whether it is spoken is asked, not by whom."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout_s) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        # an alert (a client certificate is wanted) comes from a TLS listener, too
        return "ALERT" in str(error.reason or "").upper()
    except OSError:
        return False
