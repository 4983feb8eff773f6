"""gRPC takes what anyone sends: mutated messages get an answer or a refusal, and never an internal error.

EDGESIM_FUZZ_S sets the length in seconds.
"""

import os
import random
import time

import grpc
import numpy as np
import pytest

from edgesim.server.rpc.messages import SERVICE, TYPES
from tests.conformance.conftest import server  # noqa: F401 (a fixture)
from tests.support.serving import Server

pytestmark = pytest.mark.long
SECONDS = min(60, int(os.environ.get("EDGESIM_FUZZ_S", "60")))
CALLS = ("ModelInfer", "ModelMetadata", "ModelConfig", "ModelStatistics", "ModelReady", "RepositoryIndex")
REFUSED = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED}


def message() -> bytes:
    request = TYPES["ModelInferRequest"](model_name="identity_fp32", id="1")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    request.outputs.add(name="y").parameters["classification"].int64_param = 1
    request.raw_input_contents.append(np.arange(4, dtype=np.float32).tobytes())
    return bytes(request.SerializeToString())


def mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed))
        if chance.random() < 0.5:
            changed[at] = chance.randrange(256)
        elif chance.random() < 0.5:
            changed[at:at] = chance.randbytes(chance.randint(1, 8))
        else:
            del changed[at : at + chance.randint(1, 8)]
        if not changed:
            return b""
    return bytes(changed)


def test_mutated_messages_are_answered_or_refused(server: Server) -> None:  # noqa: F811 (the fixture)
    chance, good, sent, answered = random.Random(22), message(), 0, 0
    memory_bytes, until = server.memory_bytes(), time.monotonic() + SECONDS
    with grpc.insecure_channel(server.grpc_address) as channel:
        calls = {name: channel.unary_unary(f"/{SERVICE}/{name}") for name in CALLS}
        stream = channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")
        while time.monotonic() < until:
            data, name = mutated(good, chance), chance.choice((*CALLS, *["ModelInfer"] * 10))
            sent += 1
            try:
                calls[name](data, timeout=30)
                answered += 1
            except grpc.RpcError as error:
                if error.code() not in REFUSED:
                    pytest.fail(f"{error.code()}: {error.details()} for {data!r}")
            if sent % 20 == 0:
                answers = list(stream(iter([data, good]), timeout=30))
                last = TYPES["ModelStreamInferResponse"].FromString(answers[-1])
                assert (len(answers), last.error_message) == (2, ""), f"{last} after {data!r}"
        assert calls["ModelInfer"](good, timeout=30)
    assert sent > answered > 0
    assert "Traceback" not in server.log
    assert server.memory_bytes() - memory_bytes < 64 << 20
