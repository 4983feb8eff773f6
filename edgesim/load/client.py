"""An Open Inference Protocol client, as lean as a measurement needs it."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import orjson
from numpy.typing import NDArray

from edgesim.load.inputs import Arrays
from edgesim.model import Model

_DTYPES = {"BOOL": np.bool_, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64, "BYTES": np.object_}


@dataclass(frozen=True)
class Answer:
    """What came back: `outcome` is ``ok`` or the reason why not, `body` the JSON text of an ok."""

    outcome: str
    body: bytes = b""


class Client:
    """One connection to a server, kept open between requests.

    The standard library's, and no pool of connections: a pool has locks, which a Ctrl-C at the wrong moment leaves
    locked.
    """

    def __init__(self, url: str, model: Model, *, timeout_s: float) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_s)
        self._path = f"/v2/models/{quote(model.name)}/infer"
        self._datatypes = {tensor.name: tensor.datatype for tensor in model.inputs}
        self._timeout_s = timeout_s

    def encode(self, arrays: Arrays) -> bytes:
        """The body of a request; made before the clock runs."""
        inputs = [
            {"name": name, "datatype": self._datatypes[name], "shape": list(values.shape), "data": _flat(values)}
            for name, values in arrays.items()
        ]
        return orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)

    def infer(self, body: bytes) -> Answer:
        """Send one request and wait for its answer. What goes wrong is in the outcome, not raised."""
        try:
            status, data = self._exchange("POST", self._path, body)
        except TimeoutError:
            return Answer(f"no answer within {self._timeout_s:g} s")
        except (OSError, http.client.HTTPException) as error:
            return Answer(f"connection: {type(error).__name__}")
        if status != 200:
            return Answer(f"HTTP {status}: {_error_text(data)}")
        return Answer("ok", data)

    def get_json(self, path: str) -> dict[str, Any]:
        """The JSON document at `path`; empty when the server has none there."""
        try:
            status, data = self._exchange("GET", path)
            document = orjson.loads(data) if status == 200 else {}
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError):
            return {}
        return document if isinstance(document, dict) else {}

    def _exchange(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            self._connection.request(method, path, body=body, headers=headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except BaseException:
            self._connection.close()  # what comes next would be the answer to this; the next request opens a new one
            raise

    def close(self) -> None:
        self._connection.close()


def decode(body: bytes) -> dict[str, NDArray[Any]]:
    """The output arrays of an answer's body."""
    outputs = orjson.loads(body)["outputs"]
    return {output["name"]: _array(output) for output in outputs}


def _array(output: Mapping[str, Any]) -> NDArray[Any]:
    datatype = output["datatype"]
    dtype = _DTYPES[datatype] if datatype in _DTYPES else np.dtype(datatype.lower())
    return np.array(output["data"], dtype=dtype).reshape(output["shape"])


def _flat(values: NDArray[np.generic]) -> Any:
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype == np.object_:
        return flat.tolist()
    return flat.astype(np.float32) if flat.dtype == np.float16 else flat


def _error_text(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
