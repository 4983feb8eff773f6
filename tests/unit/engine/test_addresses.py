"""Which address of a container reaches its server."""

import socket

from edgesim.engine import addresses


def test_address_at_which_no_server_listens_is_replaced() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert addresses.answering(url, instead="http://elsewhere:1") == url
    assert addresses.answering(url, instead="http://elsewhere:1") == "http://elsewhere:1"
