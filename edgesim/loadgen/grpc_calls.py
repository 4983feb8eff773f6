"""What edgesim's client and its load generator share over gRPC: the channel, the call, and outcomes in words."""

from typing import Any

import grpc

from edgesim.server.rpc.messages import SERVICE

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # a proxy of this host's environment is no way to a board
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own for each channel
    ("grpc.enable_retries", 0),  # a request that fails is a failed request
)


def channel(address: str) -> grpc.Channel:
    """Return a channel to a server, which connects with its first call."""
    return grpc.insecure_channel(address, options=_OPTIONS, compression=grpc.Compression.NoCompression)


def infer(opened: grpc.Channel) -> Any:
    """Return the call of an inference, which takes and gives bytes."""
    return opened.unary_unary(f"/{SERVICE}/ModelInfer")


def outcome(call: Any, timeout_s: float) -> str:
    """Return ``ok``, or the reason why a call failed."""
    code = call.code()
    if code is grpc.StatusCode.OK:
        return "ok"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"no answer within {timeout_s:g} s"
    details = " ".join(str(call.details() or "").split())[:200]
    if code is grpc.StatusCode.UNAVAILABLE:
        return f"connection: {details}"
    return f"gRPC {code.name}: {details}"


def is_ready(address: str, timeout_s: float) -> bool:
    """Return whether a server says over gRPC that it is ready."""
    # A ServerReadyRequest has no field, and a ServerReadyResponse one: 1, a bool.
    with channel(address) as opened:
        try:
            return bool(opened.unary_unary(f"/{SERVICE}/ServerReady")(b"", timeout=timeout_s) == b"\x08\x01")
        except grpc.RpcError:
            return False
