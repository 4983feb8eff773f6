"""Inference requests and responses as gRPC messages: read into and made from the values that every transport has.

A request is brought into the form of the protocol's JSON and checked as such, so that both transports refuse the same
requests with the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..codec import as_requested, check_document, from_binary, to_binary
from ..inference_request import BadRequest, InferRequest, InferResponse
from ..loaded_model import LoadedModel
from .messages import CONTENTS, TYPES, chosen


def read_request(message: Any, model: LoadedModel) -> InferRequest:
    """Return the request of a ModelInferRequest.

    Raises:
        BadRequest: see `codec.check_document`; or the tensors are neither all raw nor all in typed fields.
    """
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise BadRequest(
            f"raw_input_contents has {len(raw)} tensors for {len(message.inputs)} inputs; expected one for each input"
        )
    inputs = []
    for i, tensor in enumerate(message.inputs):
        entry = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        parameters = _parameters(tensor.parameters)
        if raw:
            if tensor.HasField("contents"):
                raise BadRequest(f"input {tensor.name!r} has both 'contents' and raw_input_contents")
            entry["parameters"] = {**parameters, "binary_data_size": len(raw[i])}
        else:
            entry["parameters"] = {key: value for key, value in parameters.items() if key != "binary_data_size"}
            entry["data"] = _typed(tensor)
        inputs.append(entry)
    document = {
        "id": message.id or None,
        "inputs": inputs,
        "outputs": [_output(output) for output in message.outputs],
        "parameters": {**_parameters(message.parameters), "binary_data_output": True},
    }
    checked = check_document(document, model.inputs, model.outputs)
    arrays = dict(checked.arrays)
    for (expected, shape, _), content in zip(checked.binary, raw):
        arrays[expected.name] = from_binary(memoryview(content), expected, shape)
    return InferRequest(checked.id, arrays, checked.outputs)


def takes_long(message: Any, model: LoadedModel) -> bool:
    """Return whether a request has tensors that are read value by value: in typed fields, or BYTES."""
    return not message.raw_input_contents or any(s.datatype == "BYTES" for s in model.inputs.values())


def _parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {key: chosen(value) for key, value in parameters.items()} if parameters else {}


def _output(output: Any) -> dict[str, Any]:
    return {"name": output.name, "parameters": {**_parameters(output.parameters), "binary_data": True}}


def _typed(tensor: Any) -> list[Any]:
    """Return the values of a tensor's typed field.

    Raises:
        BadRequest: the type has no such field, another field has the values, or BYTES are not UTF-8.
    """
    where, field = f"input {tensor.name!r}", CONTENTS.get(tensor.datatype)
    used = [descriptor.name for descriptor, _ in tensor.contents.ListFields()]
    if field is None:
        if tensor.datatype in ("FP16", "BF16"):
            raise BadRequest(f"{where}: the protocol has {tensor.datatype} in raw_input_contents alone")
        return []  # an unknown type, which is refused as such
    if used and used != [field]:
        raise BadRequest(f"{where} has values in {', '.join(used)}; {tensor.datatype} are in {field}")
    values = list(getattr(tensor.contents, field))
    if tensor.datatype != "BYTES":
        return values
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise BadRequest(f"{where}: an element is not UTF-8, as ONNX's strings must be") from error


def write_response(response: InferResponse) -> Any:
    """Return a response as a ModelInferResponse, with all tensors raw, as Triton's server has them."""
    message = TYPES["ModelInferResponse"](
        model_name=response.model_name, model_version=response.model_version, id=response.id or ""
    )
    for output, values in zip(response.outputs, response.results):
        values, datatype = as_requested(response, output, values)
        message.outputs.add(name=output.name, datatype=datatype, shape=values.shape)
        message.raw_output_contents.append(bytes(to_binary(values, datatype)))
    return message
