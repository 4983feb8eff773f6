"""A client of the Open Inference Protocol over gRPC, as `edgesim.loadgen.client.Client` is over HTTP."""

import time
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from edgesim.inputs import Arrays
from edgesim.loadgen import grpc_calls
from edgesim.loadgen.client import LOOK_S, Answer, Client, RequestFailed, WhileWaiting, from_binary, to_binary
from edgesim.loadgen.payload import Payload
from edgesim.models import tensor_types
from edgesim.models.repository import Model
from edgesim.server.rpc.messages import CONTENTS, TYPES


class GrpcClient:
    """One channel to a server: an `edgesim.loadgen.endpoint.Peer`.

    Args:
        address: ``HOST:PORT``.
        http: asks for what the protocol has over HTTP alone.
        while_waiting: see `edgesim.loadgen.endpoint.Endpoint`.
    """

    def __init__(
        self, address: str, model: Model, *, timeout_s: float, http: Client, while_waiting: WhileWaiting | None = None
    ) -> None:
        self._channel = grpc_calls.channel(address)
        self._infer = grpc_calls.infer(self._channel)
        self._model, self._timeout_s, self._http = model.name, timeout_s, http
        self._while_waiting = while_waiting
        self._datatypes = {tensor.name: tensor.datatype for tensor in model.inputs}

    def encode(self, arrays: Arrays) -> Payload:
        message = TYPES["ModelInferRequest"](model_name=self._model)
        for name, values in arrays.items():
            message.inputs.add(name=name, datatype=self._datatypes[name], shape=values.shape)
            message.raw_input_contents.append(to_binary(values))
        return Payload(message.SerializeToString())

    def on_the_wire(self, payload: Payload) -> bytes:
        return payload.content

    def infer(self, payload: Payload) -> Answer:
        try:
            return Answer("ok", Payload(self._wait_for(self._infer.future(payload.content, timeout=self._timeout_s))))
        except grpc.RpcError as error:
            return Answer(grpc_calls.outcome(error, self._timeout_s))

    def _wait_for(self, call: Any) -> bytes:
        begin_s = time.monotonic()
        try:
            while True:
                try:
                    return bytes(call.result(timeout=LOOK_S))
                except grpc.FutureTimeoutError:
                    if self._while_waiting is not None:
                        self._while_waiting(time.monotonic() - begin_s)
        finally:
            call.cancel()  # nothing, once there is an answer

    def decode(self, payload: Payload) -> dict[str, NDArray[Any]]:
        message = TYPES["ModelInferResponse"].FromString(payload.content)
        raw = message.raw_output_contents
        return {
            output.name: from_binary(raw[i], output.datatype, output.shape) if raw else _typed(output)
            for i, output in enumerate(message.outputs)
        }

    def answer(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        answer = self.infer(self.encode(arrays))
        if answer.outcome != "ok":
            raise RequestFailed(answer.outcome)
        return self.decode(answer.payload)

    def get_json(self, path: str) -> dict[str, Any]:
        return self._http.get_json(path)

    def close(self) -> None:
        self._channel.close()
        self._http.close()


def _typed(output: Any) -> NDArray[Any]:
    """Return a tensor whose values are in the field of its type, and not raw."""
    values = list(getattr(output.contents, CONTENTS[output.datatype]))
    if output.datatype == "BYTES":
        values = [value.decode() for value in values]
    return np.array(values, dtype=tensor_types.BY_DATATYPE[output.datatype].dtype).reshape(output.shape)
