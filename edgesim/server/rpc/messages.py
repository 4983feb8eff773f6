"""The messages of Triton's GRPCInferenceService, as a table of the fields that this server reads and writes.

Source of the names and numbers: grpc_service.proto in github.com/triton-inference-server/common, protobuf/. protobuf
skips a field that the table lacks. Messages that Triton nests in others stand beside them: the form on the wire does
not have their names.
"""

from __future__ import annotations

from typing import Any

from .. import triton_config
from ..protobuf import Messages, MessageTypes

SERVICE = "inference.GRPCInferenceService"

# The field of InferTensorContents that has the values of a type; FP16 and BF16 have none, and are always raw.
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

_MODEL = {"name": (1, "string"), "version": (2, "string")}
_DURATIONS = {"compute_input": (2, "Duration"), "compute_infer": (3, "Duration"), "compute_output": (4, "Duration")}

_MESSAGES: Messages = {
    # server and models
    "Empty": {},
    "ServerLiveResponse": {"live": (1, "bool")},
    "ServerReadyResponse": {"ready": (1, "bool")},
    "ModelReadyRequest": _MODEL,
    "ModelReadyResponse": {"ready": (1, "bool")},
    "ServerMetadataResponse": {"name": (1, "string"), "version": (2, "string"), "extensions": (3, "*string")},
    "ModelMetadataRequest": _MODEL,
    "ModelMetadataResponse": {
        "name": (1, "string"),
        "versions": (2, "*string"),
        "platform": (3, "string"),
        "inputs": (4, "*TensorMetadata"),
        "outputs": (5, "*TensorMetadata"),
    },
    "TensorMetadata": {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "*int64")},
    "ModelConfigRequest": _MODEL,
    "ModelConfigResponse": {"config": (1, "ModelConfig")},
    # inference
    "InferParameter": {
        "bool_param": (1, "?bool"),
        "int64_param": (2, "?int64"),
        "string_param": (3, "?string"),
        "double_param": (4, "?double"),
        "uint64_param": (5, "?uint64"),
    },
    "InferTensorContents": {
        "bool_contents": (1, "*bool"),
        "int_contents": (2, "*int32"),
        "int64_contents": (3, "*int64"),
        "uint_contents": (4, "*uint32"),
        "uint64_contents": (5, "*uint64"),
        "fp32_contents": (6, "*float"),
        "fp64_contents": (7, "*double"),
        "bytes_contents": (8, "*bytes"),
    },
    "ModelInferRequest": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, "{}InferParameter"),
        "inputs": (5, "*InferInputTensor"),
        "outputs": (6, "*InferRequestedOutputTensor"),
        "raw_input_contents": (7, "*bytes"),
    },
    "InferInputTensor": {
        "name": (1, "string"),
        "datatype": (2, "string"),
        "shape": (3, "*int64"),
        "parameters": (4, "{}InferParameter"),
        "contents": (5, "InferTensorContents"),
    },
    "InferRequestedOutputTensor": {"name": (1, "string"), "parameters": (2, "{}InferParameter")},
    "ModelInferResponse": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, "{}InferParameter"),
        "outputs": (5, "*InferOutputTensor"),
        "raw_output_contents": (6, "*bytes"),
    },
    "InferOutputTensor": {
        "name": (1, "string"),
        "datatype": (2, "string"),
        "shape": (3, "*int64"),
        "parameters": (4, "{}InferParameter"),
        "contents": (5, "InferTensorContents"),
    },
    "ModelStreamInferResponse": {"error_message": (1, "string"), "infer_response": (2, "ModelInferResponse")},
    # statistics
    "ModelStatisticsRequest": _MODEL,
    "ModelStatisticsResponse": {"model_stats": (1, "*ModelStatistics")},
    "ModelStatistics": {
        "name": (1, "string"),
        "version": (2, "string"),
        "last_inference": (3, "uint64"),
        "inference_count": (4, "uint64"),
        "execution_count": (5, "uint64"),
        "inference_stats": (6, "InferStatistics"),
        "batch_stats": (7, "*InferBatchStatistics"),
    },
    "Duration": {"count": (1, "uint64"), "ns": (2, "uint64")},
    "InferStatistics": {
        "success": (1, "Duration"),
        "fail": (2, "Duration"),
        "queue": (3, "Duration"),
        "compute_input": (4, "Duration"),
        "compute_infer": (5, "Duration"),
        "compute_output": (6, "Duration"),
        "cache_hit": (7, "Duration"),
        "cache_miss": (8, "Duration"),
    },
    "InferBatchStatistics": {"batch_size": (1, "uint64"), **_DURATIONS},
    # the model repository
    "RepositoryIndexRequest": {"repository_name": (1, "string"), "ready": (2, "bool")},
    "RepositoryIndexResponse": {"models": (1, "*ModelIndex")},
    "ModelIndex": {"name": (1, "string"), "version": (2, "string"), "state": (3, "string"), "reason": (4, "string")},
    "RepositoryModelLoadRequest": {
        "repository_name": (1, "string"),
        "model_name": (2, "string"),
        "parameters": (3, "{}ModelRepositoryParameter"),
    },
    "RepositoryModelUnloadRequest": {"repository_name": (1, "string"), "model_name": (2, "string")},
    "ModelRepositoryParameter": {
        "bool_param": (1, "?bool"),
        "int64_param": (2, "?int64"),
        "string_param": (3, "?string"),
        "bytes_param": (4, "?bytes"),
    },
    # settings
    "TraceSettingRequest": {"settings": (1, "{}TraceValue"), "model_name": (2, "string")},
    "TraceSettingResponse": {"settings": (1, "{}TraceValue")},
    "TraceValue": {"value": (1, "*string")},
    "LogSettingsRequest": {"settings": (1, "{}LogValue")},
    "LogSettingsResponse": {"settings": (1, "{}LogValue")},
    "LogValue": {"bool_param": (1, "?bool"), "uint32_param": (2, "?uint32"), "string_param": (3, "?string")},
}

TYPES = MessageTypes({**triton_config.MESSAGES, **_MESSAGES}, triton_config.ENUMS)


def chosen(parameter: Any) -> Any:
    """Return the value of a message that holds one of several fields; None if it holds none."""
    field = parameter.WhichOneof("choice")
    return getattr(parameter, field) if field is not None else None
