"""An Open Inference Protocol client, as lean as a measurement needs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import urllib3
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
    """One connection to a server, kept open between requests."""

    def __init__(self, url: str, model: Model, *, timeout_s: float) -> None:
        self._pool = urllib3.connection_from_url(url, maxsize=1, timeout=urllib3.Timeout(timeout_s), retries=False)
        self._path = f"/v2/models/{model.name}/infer"
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
            response = self._pool.request("POST", self._path, body=body, headers={"Content-Type": "application/json"})
        except urllib3.exceptions.TimeoutError:
            return Answer(f"no answer within {self._timeout_s:g} s")
        except urllib3.exceptions.HTTPError as error:
            return Answer(f"connection: {type(error).__name__}")
        if response.status != 200:
            return Answer(f"HTTP {response.status}: {_error_text(response.data)}")
        return Answer("ok", response.data)

    def get_json(self, path: str) -> dict[str, Any]:
        """The JSON document at `path`; empty when the server has none there."""
        try:
            response = self._pool.request("GET", path)
            document = orjson.loads(response.data) if response.status == 200 else {}
        except (urllib3.exceptions.HTTPError, orjson.JSONDecodeError):
            return {}
        return document if isinstance(document, dict) else {}

    def close(self) -> None:
        self._pool.close()


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
