"""The endpoint that takes what anyone sends: for ten minutes, no 500, no crash, no memory lost.

EDGESIM_FUZZ_S sets another length for each of the two, in seconds.
"""

import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import raw
from tests.conformance.conftest import TYPES
from tests.support.serving import Server

SECONDS = int(os.environ.get("EDGESIM_FUZZ_S", "600"))
MODELS = [*(f"identity_{name.lower()}" for name in TYPES), "pair", "batched", "gather", "constant", "labelled", "scale"]
MIB = 1 << 20


def openapi() -> dict[str, Any]:
    """The infer endpoint as an OpenAPI document, so that what is sent is right or nearly so."""
    anything: dict[str, Any] = {}
    number_or_text = {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "string"}]}
    parameters = {
        "type": "object",
        "properties": {
            "binary_data_size": {"type": "integer"},
            "binary_data": {"type": "boolean"},
            "binary_data_output": {"type": "boolean"},
            "classification": {"type": "integer"},
            "sequence_id": {"type": "integer"},
        },
    }
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"enum": ["x", "a", "b", "index"]},
            "datatype": {"enum": list(TYPES)},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 4}, "maxItems": 3},
            "data": {"type": "array", "items": {"anyOf": [number_or_text, {"type": "array", "items": number_or_text}]}},
            "parameters": parameters,
        },
    }
    output = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"enum": ["y", "sum", "difference"]}, "parameters": parameters},
    }
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor, "maxItems": 3},
            "outputs": {"type": "array", "items": output, "maxItems": 3},
            "parameters": parameters,
        },
    }
    path_parameters = [
        {"name": "model", "in": "path", "required": True, "schema": {"enum": MODELS}},
        {"name": "Inference-Header-Content-Length", "in": "header", "schema": {"type": "integer"}},
        {"name": "Accept-Encoding", "in": "header", "schema": {"enum": ["gzip", "deflate"]}},
    ]
    operation = {
        "parameters": path_parameters,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"default": {"description": "an answer or an error", "content": {"application/json": anything}}},
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "inference", "version": "2"},
        "paths": {"/v2/models/{model}/infer": {"post": operation}},
    }


@pytest.mark.timeout(SECONDS * 2 + 120)
def test_schemathesis_finds_no_server_error(server: Server, tmp_path: Path) -> None:
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(openapi()))
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "run",
        str(schema),
        "--url",
        f"http://{server.address}",
        "--checks",
        "not_a_server_error",
        "--phases",
        "coverage,fuzzing",
        "--max-time",
        str(SECONDS),
        "--suppress-health-check",
        "all",
    ]
    before = server.memory_bytes()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    print(done.stdout[-2000:])
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    _is_sound(server, before)


@pytest.mark.timeout(SECONDS * 2 + 120)
def test_requests_with_bytes_changed_get_an_answer_or_a_refusal(server: Server) -> None:
    """Valid requests of every kind with bytes flipped, cut, repeated and announced wrongly."""
    generator = random.Random(0)
    before, until, sent, statuses = server.memory_bytes(), time.monotonic() + SECONDS, 0, {200: 0}
    while time.monotonic() < until:
        request = _mutated(generator, _valid(generator))
        with raw.connected(server, timeout=20) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            try:
                status = raw.response(connection)[0]
            except (ConnectionError, OSError):
                status = 0  # nothing that asked for an answer
        statuses[status] = statuses.get(status, 0) + 1
        assert status != 500, request
        sent += 1
    print(f"{sent} requests: {statuses}")
    assert statuses[200] > 0
    assert statuses.get(400, 0) > 0
    _is_sound(server, before)


def _valid(generator: random.Random) -> bytes:
    model = generator.choice(["identity_fp32", "identity_bytes", "identity_int8", "identity_bf16", "labelled"])
    if model == "identity_bytes":
        data, shape, datatype = b"\x02\x00\x00\x00ab\x00\x00\x00\x00", [1, 2], "BYTES"
    else:
        datatype = {"labelled": "FP32"}.get(model, model[9:].upper())
        data, shape = b"\0" * 4 * {"FP32": 4, "BF16": 2, "INT8": 1}[datatype], [1, 4]
    if generator.random() < 0.3 and datatype != "BF16":
        values: list[Any] = ["a", "b"] if datatype == "BYTES" else [0] * 4
        return raw.infer(model, raw.json_body(values, datatype, shape))
    head = raw.binary_head(len(data), shape, datatype)
    return raw.infer(model, head + data, f"Inference-Header-Content-Length: {len(head)}")


def _mutated(generator: random.Random, request: bytes) -> bytes:
    changed = bytearray(request)
    for _ in range(generator.choice([0, 1, 1, 2, 5])):
        at = generator.randrange(len(changed))
        kind = generator.random()
        if kind < 0.4:
            changed[at] = generator.randrange(256)
        elif kind < 0.6:
            changed[at] ^= 1 << generator.randrange(8)
        elif kind < 0.7:
            del changed[at : at + generator.randrange(1, 16)]
        elif kind < 0.8:
            changed[at:at] = changed[max(0, at - generator.randrange(1, 32)) : at]
        elif kind < 0.9:
            changed[at:at] = str(generator.choice([-1, 0, 2**31, 2**63, 1e308])).encode()
        else:
            changed[at:at] = generator.choice([b"null", b"[[[[", b'"', b"\r\n\r\n", b"NaN", b"{}", b"\xff\xfe"])
        if not changed:
            break
    return bytes(changed)


def _is_sound(server: Server, memory_before: int) -> None:
    assert server.process.poll() is None
    assert "Traceback" not in server.log, server.log[-4000:]
    assert server.memory_bytes() - memory_before < 128 * MIB
