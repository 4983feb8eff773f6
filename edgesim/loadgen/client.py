"""A client of the Open Inference Protocol that adds little to what it measures."""

import http.client
import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import orjson
from numpy.typing import NDArray

from edgesim.inputs import Arrays
from edgesim.loadgen.connection import error_text
from edgesim.loadgen.payload import EMPTY, JSON_LENGTH, Payload
from edgesim.models import tensor_types
from edgesim.models.repository import Model


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes:
        outcome: ``ok``, or the reason why the request failed.
        payload: empty if the request failed.
    """

    outcome: str
    payload: Payload = EMPTY


# A client calls the function every `LOOK_S` without an answer, with the seconds that the client has waited.
WhileWaiting = Callable[[float], None]
LOOK_S = 0.5


class RequestFailed(Exception):
    """A request was not answered; the message says why."""


class Client:
    """One connection to a server, open between requests.

    It is the standard library's connection and no pool of connections, because Ctrl-C at the wrong moment leaves the
    locks of a pool locked.

    Args:
        while_waiting: see `edgesim.loadgen.endpoint.Endpoint`.
    """

    def __init__(self, url: str, model: Model, *, timeout_s: float, while_waiting: WhileWaiting | None = None) -> None:
        address = urlsplit(url)
        self._host = address.netloc
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_s)
        self._path = f"/v2/models/{quote(model.name)}/infer"
        self._datatypes = {tensor.name: tensor.datatype for tensor in model.inputs}
        self._timeout_s, self._while_waiting = timeout_s, while_waiting
        self._binary: bool | None = None

    @property
    def binary(self) -> bool:
        """Whether the server accepts tensors in binary form; the first call asks the server."""
        if self._binary is None:
            extensions = self.get_json("/v2").get("extensions", [])
            self._binary = "binary_tensor_data" in extensions or "binary_tensor_data_extension" in extensions
        return self._binary

    def encode(self, arrays: Arrays) -> Payload:
        """Return the body of a request. Call this before the load begins: it takes time."""
        inputs, tensors = [], []
        for name, values in arrays.items():
            tensor = {"name": name, "datatype": self._datatypes[name], "shape": list(values.shape)}
            if self.binary:
                tensors.append(to_binary(values))
                inputs.append(tensor | {"parameters": {"binary_data_size": len(tensors[-1])}})
            else:
                inputs.append(tensor | {"data": _flat(values)})
        document: dict[str, Any] = {"inputs": inputs}
        if self.binary:
            document["parameters"] = {"binary_data_output": True}
        text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        return Payload(b"".join((text, *tensors)), len(text) if self.binary else None)

    def on_the_wire(self, payload: Payload) -> bytes:
        """Return the whole request, head and body, as `edgesim.loadgen.transport` sends it."""
        lines = [f"POST {self._path} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(payload.content)}"]
        lines += [f"{name}: {value}" for name, value in _headers(payload).items()]
        return "\r\n".join([*lines, "", ""]).encode() + payload.content

    def infer(self, payload: Payload) -> Answer:
        """Send one request and wait for its answer.

        A failure is in the answer's outcome; the only errors that are raised are those of `while_waiting`.
        """
        try:
            status, json_length, data = self._exchange("POST", self._path, payload)
        except TimeoutError:
            return Answer(f"no answer within {self._timeout_s:g} s")
        except (OSError, http.client.HTTPException) as error:
            return Answer(f"connection: {type(error).__name__}")
        if status != 200:
            return Answer(f"HTTP {status}: {error_text(data)}")
        return Answer("ok", Payload(data, json_length))

    def answer(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """Send one request, and return the outputs by name.

        Raises:
            RequestFailed: with the outcome.
        """
        answer = self.infer(self.encode(arrays))
        if answer.outcome != "ok":
            raise RequestFailed(answer.outcome)
        return self.decode(answer.payload)

    def decode(self, payload: Payload) -> dict[str, NDArray[Any]]:
        """Return the output arrays of an answer, by name."""
        return decode(payload)

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the JSON document at `path`; empty if the server has none there, or does not answer."""
        try:
            status, _, data = self._exchange("GET", path)
            document = orjson.loads(data) if status == 200 else {}
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError):
            return {}
        return document if isinstance(document, dict) else {}

    def post_json(self, path: str, document: Mapping[str, Any]) -> bool:
        """Send a JSON document; return whether the server accepted it."""
        try:
            return self._exchange("POST", path, Payload(orjson.dumps(document)))[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _exchange(self, method: str, path: str, payload: Payload | None = None) -> tuple[int, int | None, bytes]:
        headers = _headers(payload) if payload is not None else {}
        try:
            self._connection.request(method, path, body=payload.content if payload else None, headers=headers)
            self._wait()
            response = self._connection.getresponse()
            json_length = response.headers.get(JSON_LENGTH)
            return response.status, int(json_length) if json_length else None, response.read()
        except BaseException:
            # The next bytes on this connection would answer this request; the next request opens a new connection.
            self._connection.close()
            raise

    def _wait(self) -> None:
        """Wait until the answer begins."""
        if self._while_waiting is None:
            return
        begin_s = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection.sock, selectors.EVENT_READ)
            while not selector.select(LOOK_S):
                if (waited_s := time.monotonic() - begin_s) > self._timeout_s:
                    raise TimeoutError
                self._while_waiting(waited_s)

    def close(self) -> None:
        self._connection.close()


def _headers(payload: Payload) -> dict[str, str]:
    if payload.json_length is None:
        return {"Content-Type": "application/json"}
    return {"Content-Type": "application/octet-stream", JSON_LENGTH: str(payload.json_length)}


def decode(payload: Payload) -> dict[str, NDArray[Any]]:
    """Return the output arrays of an answer, by name."""
    outputs = orjson.loads(payload.content[: payload.json_length])["outputs"]
    arrays, begin = {}, payload.json_length or 0
    for output in outputs:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            arrays[output["name"]] = _array(output)
        else:
            arrays[output["name"]] = from_binary(
                payload.content[begin : begin + size], output["datatype"], output["shape"]
            )
            begin += size
    return arrays


def _array(output: Mapping[str, Any]) -> NDArray[Any]:
    return np.array(output["data"], dtype=_dtype(output["datatype"])).reshape(output["shape"])


def _dtype(datatype: str) -> np.dtype[Any]:
    return tensor_types.BY_DATATYPE[datatype].dtype


def from_binary(data: bytes, datatype: str, shape: Sequence[int]) -> NDArray[Any]:
    """Return a tensor from its binary form: little-endian, row-major; each text follows its length in four bytes."""
    if datatype != "BYTES":
        return np.frombuffer(data, _dtype(datatype)).reshape(shape)
    texts, begin = [], 0
    while begin < len(data):
        length = int.from_bytes(data[begin : begin + 4], "little")
        texts.append(data[begin + 4 : begin + 4 + length].decode())
        begin += 4 + length
    return np.array(texts, dtype=np.object_).reshape(shape)


def to_binary(values: NDArray[np.generic]) -> bytes:
    """Return the bytes of a tensor: little-endian, row-major; each text follows its length in four bytes."""
    if values.dtype != np.object_:
        return np.ascontiguousarray(values).tobytes()
    encoded = [str(text).encode() for text in values.reshape(-1)]
    return b"".join(len(text).to_bytes(4, "little") + text for text in encoded)


def _flat(values: NDArray[np.generic]) -> Any:
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype == np.object_:
        return flat.tolist()
    # FP16 and BF16, which orjson does not write; every value of theirs is a float32.
    return flat.astype(np.float32) if flat.dtype.itemsize == 2 and tensor_types.is_float(flat.dtype) else flat
