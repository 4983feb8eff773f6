"""Ports of this host."""

import socket


def why_taken(port: int) -> str | None:
    """Return why no program can listen on `port` of 127.0.0.1; None if the port is free, or 0.

    Asked before any work: the engine would find out last.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror
    return None
