"""The gRPC server: a port of its own, on the event loop of the HTTP server."""

from __future__ import annotations

import grpc
from grpc import aio

from ..http_connection import Server
from ..management import Management
from .service import Service


async def start(management: Management, http: Server, host: str, port: int) -> tuple[aio.Server, int]:
    """Start to answer; return the server and its port, which the system chooses if `port` is 0.

    Args:
        http: has the bounds on what clients may take, see `Service`.

    Raises:
        OSError: the port is taken.
    """
    limits = http.limits
    server = aio.server(
        options=(
            ("grpc.max_receive_message_length", limits.body_bytes),
            ("grpc.max_send_message_length", limits.body_bytes),
            # Without this, a second server on the port would get some of the first one's connections, without an error.
            ("grpc.so_reuseport", 0),
            ("grpc.max_connection_idle_ms", int(limits.idle_s * 1000)),
        ),
        compression=grpc.Compression.NoCompression,
        maximum_concurrent_rpcs=limits.connections,
    )
    server.add_generic_rpc_handlers(Service(management, http).handlers())
    try:
        port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise OSError(f"port {port} of {host} cannot be listened on for gRPC: {error}") from error
    await server.start()
    return server, port
