"""Requests that are cut off, slow, too large or too many: each gets a clear answer, and the server goes on."""

import json
import resource
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.http as triton

from tests.conformance import raw
from tests.conformance.test_infer import infer_input
from tests.support.serving import Server, identity, running_server, save, scale

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _server_still_answers(server: Server) -> Iterator[None]:
    yield
    with raw.connected(server) as connection:
        connection.sendall(raw.infer("scale", raw.json_body([1.0])))
        assert raw.response(connection)[0] == 200


def test_connections_are_kept_and_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with raw.connected(server) as connection:
        connection.sendall(b"".join(raw.infer("scale", raw.json_body([1.0], id=str(i))) for i in range(20)))
        received = b""
        while received.count(b'"id":') < 20:
            received += connection.recv(65536)
    ids = [int(piece.split(b'"')[1]) for piece in received.split(b'"id":')[1:]]
    assert ids == list(range(20))


def test_head_and_body_may_come_byte_by_byte(server: Server) -> None:
    with raw.connected(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in raw.infer("scale", raw.json_body([1.0])):
            connection.sendall(bytes([byte]))
        assert json.loads(raw.response(connection)[2])["outputs"][0]["data"] == [10.0]


def test_client_that_expects_100_continue_gets_it(server: Server) -> None:
    body = raw.json_body([1.0])
    with raw.connected(server) as connection:
        connection.sendall(raw.infer("scale", b"", "Expect: 100-continue", length=len(body)))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert raw.response(connection)[0] == 200


def test_body_may_come_in_chunks(server: Server) -> None:
    body = raw.json_body([1.0])
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:]))
    head = b"POST /v2/models/scale/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw.connected(server) as connection:
        connection.sendall(head + chunks + b"0\r\n\r\n")
        assert raw.response(connection)[0] == 200


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (b"NONSENSE\r\n\r\n", 400, "not HTTP"),
        (b"GET /v2 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "not HTTP"),
        (b"GET /v2 HTTP/1.1\r\nX: " + b"x" * 70_000, 431, "head is longer than 65536 bytes"),
        (b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "malformed chunks"),
        (raw.infer("scale", b"", length=1 << 50), 413, "this server takes up to"),
        (raw.infer("scale", b"{"), 400, "the request is not JSON"),
        (raw.infer("scale", b"[]"), 400, "the request must be a JSON object"),
        (raw.infer("scale", b""), 400, "the request is not JSON"),
        (raw.infer("scale", b"{}", "Inference-Header-Content-Length: 9"), 400, "is 9, but the body has 2 bytes"),
        (raw.infer("scale", b"{}", "Inference-Header-Content-Length: x"), 400, "is 'x'; expected a number of bytes"),
        (raw.infer("scale", b"{}", "Content-Encoding: br"), 415, "Content-Encoding 'br'; expected gzip or deflate"),
        (raw.infer("scale", b"{}", "Content-Encoding: gzip"), 400, "the body is not what its Content-Encoding says"),
    ],
)
def test_unreadable_request_is_refused_with_the_reason(server: Server, sent: bytes, status: int, words: str) -> None:
    with raw.connected(server) as connection:
        connection.sendall(sent)
        received_status, message = raw.error(connection)
        assert received_status == status
        assert words in message


def test_body_shorter_than_announced_is_refused_when_it_ends(server: Server) -> None:
    with raw.connected(server) as connection:
        connection.sendall(raw.infer("scale", raw.json_body([1.0]), length=1000))
        connection.shutdown(socket.SHUT_WR)
        status, message = raw.error(connection)
        assert status == 400
        assert "the body ended after " in message
        assert " of the 1000 bytes announced" in message


def test_bytes_after_a_body_are_read_as_the_next_request(server: Server) -> None:
    body = raw.json_body([1.0])
    with raw.connected(server) as connection:
        connection.sendall(raw.infer("scale", body + b"and more\r\n\r\n", length=len(body)))
        assert raw.response(connection)[0] == 200
        assert raw.error(connection)[0] == 400


@pytest.mark.parametrize(
    ("size", "sent", "words"),
    [
        (8, 4, "input 'x' has binary_data_size 8; 4 bytes are left of the body"),
        (4, 8, "4 bytes follow the last tensor, which belong to none"),
        (12, 12, "input 'x' holds 12 bytes; FP32 of shape [1] takes 4"),
        (-4, 4, "input 'x' has binary_data_size -4"),
    ],
)
def test_wrong_number_of_tensor_bytes_is_refused_with_both_numbers(
    server: Server, size: int, sent: int, words: str
) -> None:
    head = raw.binary_head(size, [1])
    with raw.connected(server) as connection:
        header = f"Inference-Header-Content-Length: {len(head)}"
        connection.sendall(raw.infer("scale", head + b"\0" * sent, header))
        status, message = raw.error(connection)
        assert status == 400
        assert words in message


@pytest.mark.parametrize(
    ("element", "words"),
    [
        (b"\xff\xff\xff\x7fab", "input 'x': element 0 has 2147483647 bytes; 2 are left"),
        (b"\x01\x00\x00\x00\xff", "input 'x': element 0 is not UTF-8"),
        (b"\x01\x00\x00\x00ab", "input 'x' holds 1 bytes behind its last element"),
        (b"", "input 'x' holds 0 bytes; its shape takes 1 elements of 4 bytes and more"),
    ],
)
def test_text_with_wrong_lengths_is_refused(server: Server, element: bytes, words: str) -> None:
    head = raw.binary_head(len(element), [1, 1], "BYTES")
    with raw.connected(server) as connection:
        header = f"Inference-Header-Content-Length: {len(head)}"
        connection.sendall(raw.infer("identity_bytes", head + element, header))
        status, message = raw.error(connection)
        assert status == 400
        assert words in message


@pytest.mark.parametrize(
    ("datatype", "values", "words"),
    [
        ("INT8", [128], "not INT8: expected -128 to 127"),
        ("UINT64", [-1], "not UINT64: expected 0 to 18446744073709551615"),
        ("UINT64", [2.0**63, 1], "not UINT64: expected whole numbers"),
        ("INT32", [1.5], "not INT32: expected whole numbers"),
        ("BOOL", [2], "not BOOL: expected true and false"),
        ("FP32", ["1"], "not FP32: expected numbers"),
        ("FP32", [True], "not FP32: expected numbers"),
        ("FP32", [None], "not FP32: expected numbers"),
        ("FP32", [[1.0], [1.0, 2.0]], "not FP32: lists of different lengths"),
        ("BYTES", [1], "not BYTES: expected strings"),
        ("FP32", [1.0, 2.0], "holds 2 values; its shape [1, 1] takes 1"),
    ],
)
def test_json_values_that_do_not_fit_are_refused(
    server: Server, datatype: str, values: list[object], words: str
) -> None:
    with raw.connected(server) as connection:
        body = raw.json_body(values, datatype, [1, 1])
        connection.sendall(raw.infer(f"identity_{datatype.lower()}", body))
        status, message = raw.error(connection)
        assert status == 400
        assert words in message


def test_unaligned_tensors_are_read_correctly(server: Server) -> None:
    a, b = np.array([[1.5, 2.5]], np.float32), np.array([[0.5, 0.25]], np.float32)
    inputs = [
        {"name": n, "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}} for n in ("a", "b")
    ]
    for padding in range(8):
        document = json.dumps({"id": "x" * padding, "inputs": inputs}).encode()
        header = f"Inference-Header-Content-Length: {len(document)}"
        with raw.connected(server) as connection:
            connection.sendall(raw.infer("pair", document + a.tobytes() + b.tobytes(), header))
            outputs = json.loads(raw.response(connection)[2])["outputs"]
        assert [output["data"] for output in outputs] == [[2.0, 2.75], [1.0, 2.25]]


def test_large_tensor_is_not_copied(tmp_path: Path) -> None:
    """150 MB in and out of an identity are in memory twice: the received body and ONNX Runtime's output."""
    save(identity(), tmp_path / "models", "big")
    values = np.random.default_rng(0).random(150_000_000 // 4, np.float32)
    with running_server(tmp_path / "models") as server:
        client = triton.InferenceServerClient(server.address, network_timeout=120, connection_timeout=120)
        client.infer("big", [infer_input("x", values[:1000])])
        before = server.memory_bytes()
        assert (client.infer("big", [infer_input("x", values)]).as_numpy("y") == values).all()
        peak = _peak_memory_bytes(server)
        client.close()
    assert peak - before < 2 * values.nbytes + 16 * MIB


def _peak_memory_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_large_tensor_in_json_is_refused_with_the_advice_to_send_binary(server: Server) -> None:
    with raw.connected(server) as connection:
        connection.sendall(raw.infer("scale", b" " * (64 * MIB + 1)))
        status, message = raw.error(connection)
        assert status == 400
        assert "send tensors as binary data" in message


def test_all_bodies_in_flight_share_one_limit(tmp_path: Path) -> None:
    save(scale(1.0), tmp_path / "models", "scale")
    with running_server(tmp_path / "models", "--max-body-bytes", str(MIB)) as server, ExitStack() as stack:
        first, second = (stack.enter_context(raw.connected(server)) for _ in range(2))
        first.sendall(raw.infer("scale", b"x", length=MIB - 100))
        time.sleep(0.2)
        second.sendall(raw.infer("scale", raw.json_body([1.0] * 100)))
        status, message = raw.error(second)
        assert status == 503
        assert "the server is busy with" in message
        first.close()
        time.sleep(0.2)
        third = stack.enter_context(raw.connected(server))
        third.sendall(raw.infer("scale", raw.json_body([1.0] * 100)))
        assert raw.response(third)[0] == 200


def test_compressed_body_that_decompresses_above_the_limit_is_refused(tmp_path: Path) -> None:
    import gzip

    save(scale(1.0), tmp_path / "models", "scale")
    bomb = gzip.compress(b" " * (64 * MIB))
    with running_server(tmp_path / "models", "--max-body-bytes", str(MIB)) as server:
        before = server.memory_bytes()
        with raw.connected(server) as connection:
            connection.sendall(raw.infer("scale", bomb, "Content-Encoding: gzip"))
            status, message = raw.error(connection)
        assert status == 413
        assert "the body unfolds to more than the" in message
        assert _peak_memory_bytes(server) - before < 16 * MIB


def test_thousand_connections_with_stuck_ones_leave_room_for_others(server: Server) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    before = server.memory_bytes()
    with ExitStack() as stack:
        connections = [stack.enter_context(raw.connected(server)) for _ in range(1000)]
        for i, connection in enumerate(connections):
            if i % 4 == 0:
                connection.sendall(raw.infer("scale", b"{", length=1000))  # the rest is never sent
            elif i % 4 == 1:
                connection.sendall(b"POST /v2/mod")
        for connection in connections[2::4]:
            connection.sendall(raw.infer("scale", raw.json_body([1.0])))
        assert all(raw.response(connection)[0] == 200 for connection in connections[2::4])
        assert server.memory_bytes() - before < 64 * MIB


def test_client_that_disconnects_does_not_disturb_the_server(server: Server) -> None:
    body = raw.json_body([1.0] * 10_000)
    for cut in (10, 200, len(body)):
        with raw.connected(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(raw.infer("scale", body)[:cut])
    assert "Traceback" not in server.log


def test_sixty_four_models_are_served_side_by_side(tmp_path: Path) -> None:
    for i in range(64):
        save(scale(float(i)), tmp_path / "models", f"model{i}")
    with running_server(tmp_path / "models") as server:
        client = triton.InferenceServerClient(server.address, concurrency=64)
        pending = [client.async_infer(f"model{i}", [infer_input("x", np.ones(1, np.float32))]) for i in range(64)]
        assert [response.get_result().as_numpy("y")[0] for response in pending] == list(range(64))
        assert psutil.Process(server.process.pid).num_threads() < 64 + 16
        client.close()
