"""ONNX Runtime on the processor."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..config import Library, ModelConfig
from ..tensor_types import BY_ONNX_TYPE, DTYPES, Signature
from . import InferenceFailed
from .ranks import of_any_rank

_BF16_ONNX_NUMBER = BY_ONNX_TYPE["tensor(bfloat16)"].onnx_number
_OPTIMIZATION_LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
# What ONNX Runtime raises while it runs is about the values that it was given: shapes that do not go together, an index
# out of bounds, a size that no memory holds.
_STATE = onnxruntime.capi.onnxruntime_pybind11_state
_INFERENCE_ERRORS = (_STATE.InvalidArgument, _STATE.Fail, _STATE.RuntimeException, _STATE.NotImplemented, ValueError)
# From 1.31 on at the latest (1.23 does not), ONNX Runtime itself refuses weights outside the directory of their model.
_RUNTIME_READS_ANY_FILE = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 31)


class OnnxRuntime:
    """ONNX Runtime as it is installed (see `Runtime`). Turns its telemetry off."""

    name = "onnxruntime"
    version: str = onnxruntime.__version__

    def __init__(self, gpus: str | None = None) -> None:
        """Choose what runs models.

        Args:
            gpus: the precision for which TensorRT builds its engines: ``fp32``, ``fp16``, ``int8``. TensorRT and CUDA
                are used as far as this ONNX Runtime has them; None means the CPU alone.
        """
        onnxruntime.disable_telemetry_events()
        options: dict[str, dict[str, Any]] = {} if gpus is None else _gpu_providers(gpus)
        available = onnxruntime.get_available_providers()
        self._providers = [(name, options[name]) for name in options if name in available]
        self._providers.append(("CPUExecutionProvider", {}))
        self.gpus = gpus
        self.providers = tuple(name for name, _ in self._providers)

    def load(
        self, path: Path, config: ModelConfig, *, content: bytes | None, threads: int, files_change: bool
    ) -> OnnxSession:
        """Make a session of a model file; see `Runtime.load`."""
        checked = None
        if content is not None or _RUNTIME_READS_ANY_FILE:
            checked = _require_weights_inside(path, content)
        started_s = time.perf_counter()
        options = _session_options(config, threads)
        for library in config.libraries:
            options.register_custom_ops_library(str(_library(library, path)))
        weights = _read_weights(path, checked) if files_change and content is None else {}
        if weights:
            options.add_external_initializers(list(weights), list(weights.values()))
        session = onnxruntime.InferenceSession(content or str(path), options, providers=self._providers)
        load_s = time.perf_counter() - started_s
        # ONNX Runtime describes a tensor of any rank as it describes a scalar.
        scalars = any(not end.shape for end in (*session.get_inputs(), *session.get_outputs()))
        any_rank = of_any_rank(path, content) if scalars else frozenset()
        return OnnxSession(session, weights, load_s=load_s, any_rank=any_rank)


class OnnxSession:
    """A session of ONNX Runtime (see `Session`)."""

    def __init__(
        self, session: Any, weights: Mapping[str, Any], *, load_s: float, any_rank: Collection[str] = ()
    ) -> None:
        """Describe a session.

        Args:
            session: an `onnxruntime.InferenceSession`.
            weights: the external weights by name. ONNX Runtime does not copy them, so they live as long as the session.
            load_s: see `Session.load_s`.
            any_rank: names of inputs and outputs whose number of dimensions is open.

        Raises:
            ValueError: an input or output is of a type that the protocol does not have.
        """
        self._session = session
        self._weights = weights
        self.load_s = load_s
        self.inputs = _signatures(session.get_inputs(), any_rank)
        self.outputs = _signatures(session.get_outputs(), any_rank)
        # numpy has no BF16, so such a model takes the longer way through ONNX Runtime's own values.
        signatures = [*self.inputs.values(), *self.outputs.values()]
        self._has_bf16 = any(signature.datatype == "BF16" for signature in signatures)

    def wrap_compiled(self, wrap: Callable[[Any], Any]) -> None:
        """Replace the compiled session, which `onnxruntime.InferenceSession` calls, by what `wrap` makes of it."""
        self._session._sess = wrap(self._session._sess)

    def infer(self, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        try:
            return self._run_values(inputs, outputs) if self._has_bf16 else self._run_arrays(inputs, outputs)
        except _INFERENCE_ERRORS as error:
            raise InferenceFailed(str(error)) from error

    def _run_arrays(self, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Run on numpy arrays; neither inputs nor outputs are copied."""
        results: list[np.ndarray] = self._session.run(outputs, inputs)
        return results

    def _run_values(self, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Run on ONNX Runtime's values, which can be BF16."""
        values = {}
        for name, array in inputs.items():
            if self.inputs[name].datatype == "BF16":
                values[name] = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _BF16_ONNX_NUMBER)
            else:
                values[name] = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        results = self._session.run_with_ort_values(list(outputs), values)
        return [
            bf16_bits(result) if self.outputs[name].datatype == "BF16" else result.numpy()
            for name, result in zip(outputs, results)
        ]


def _gpu_providers(precision: str) -> dict[str, dict[str, Any]]:
    """Return ONNX Runtime's providers for NVIDIA's GPUs with their options, in the order of preference."""
    tensorrt: dict[str, Any] = {}
    if precision in ("fp16", "int8"):
        tensorrt["trt_fp16_enable"] = True
    if precision == "int8":
        tensorrt["trt_int8_enable"] = True
    return {"TensorrtExecutionProvider": tensorrt, "CUDAExecutionProvider": {}}


def _session_options(config: ModelConfig, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(config.intra_op_threads or threads, threads)
    options.inter_op_num_threads = min(config.inter_op_threads or 1, threads)
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, _OPTIMIZATION_LEVELS[config.graph_optimization_level]
    )
    options.execution_mode = getattr(onnxruntime.ExecutionMode, f"ORT_{config.execution_mode.upper()}")
    options.enable_cpu_mem_arena = config.enable_cpu_mem_arena
    options.enable_mem_pattern = config.enable_mem_pattern
    # A thread that spins while it waits takes the core from a thread that works: wherever the board has more cores
    # than this host, and always in an emulator.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _read_weights(path: Path, checked: Any) -> dict[str, Any]:
    # Imported here because few models need it: under emulation each import delays the server's readiness.
    from .external_weights import read_external_weights

    return read_external_weights(path, checked)


def _library(library: Library, path: Path) -> Path:
    from .. import libraries  # as above

    return libraries.path_of(library, path.parent.parent)


def _require_weights_inside(path: Path, content: bytes | None) -> Any:
    from .external_weights import require_inside  # as above

    return require_inside(path, content)


def _signatures(arguments: Sequence[Any], any_rank: Collection[str]) -> Mapping[str, Signature]:
    return {argument.name: _signature(argument, argument.name in any_rank) for argument in arguments}


def _signature(argument: Any, any_rank: bool) -> Signature:
    """Describe an input or output (an `onnxruntime.NodeArg`)."""
    tensor_type = BY_ONNX_TYPE.get(argument.type)
    if tensor_type is None:
        raise ValueError(f"{argument.name!r} is a {argument.type}, which the inference protocol does not have")
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in argument.shape)
    return Signature(argument.name, tensor_type.name, shape, any_rank)


def bf16_bits(value: Any) -> np.ndarray:
    """Copy the bits of a BF16 value (`onnxruntime.OrtValue`), whose memory ends with the value."""
    import ctypes

    shape = value.shape()
    count = int(np.prod(shape, dtype=np.int64))
    if count == 0:
        return np.empty(shape, DTYPES["BF16"])
    memory = (ctypes.c_uint16 * count).from_address(value.data_ptr())
    bits: np.ndarray = np.ctypeslib.as_array(memory).reshape(shape).copy()
    return bits
