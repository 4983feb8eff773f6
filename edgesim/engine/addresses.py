"""Which address of a container reaches its server from this host."""

import socket
from urllib.parse import urlsplit


def answering(url: str, *, instead: str) -> str:
    """Return `url` if a server accepts connections there, else `instead`.

    A firewall, or an engine in a virtual machine, may keep this host from a container's own address.
    """
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port), timeout=1).close()
    except OSError:
        return instead
    return url
