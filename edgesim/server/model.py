"""One version of a model, ready to run: an ONNX Runtime session and what belongs to it."""

import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from . import config
from .codec import InferRequest, Signature, read_document
from .config import ModelConfig
from .model_statistics import Statistics
from .pace import Pace
from .worker import Run, Worker

_BFLOAT16 = 16  # onnx.TensorProto.BFLOAT16
_REMEMBERED_BYTES = 1024
_LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


class LoadedModel:
    """A session with its queue and its statistics.

    Attributes:
        fingerprint: of the files that it was made from, see `repository.fingerprint`.
        takes_text: some input is BYTES, which take time to decode even in binary form.
        load_s: how long it took to make the session, in seconds of this machine (or its emulator).
    """

    def __init__(
        self,
        name: str,
        version: str,
        path: Path,
        settings: ModelConfig,
        *,
        file: bytes | None,
        board_threads: int,
        fingerprint: Any,
        files_change: bool,
        pace: Pace | None = None,
    ) -> None:
        """Load a model file.

        Args:
            path: where it is in the repository.
            file: its content in place of what is at `path`.
            files_change: files of weights are read, and not mapped: they may be overwritten.
            pace: holds each inference until the board would have done it.

        Raises:
            ConfigError: its configuration does not fit the model or the board.
            ValueError: it has an input or output that the protocol has no type for.
            Exception: whatever ONNX Runtime makes of a bad file.
        """
        self.name = name
        self.version = version
        self.config = settings
        self.fingerprint = fingerprint
        self.statistics = Statistics()
        begun = time.perf_counter()
        options = _options(settings, board_threads)
        # ONNX Runtime uses these where they are.
        self._weights = _read_weights(path) if files_change and file is None else {}
        if self._weights:
            options.add_external_initializers(list(self._weights), list(self._weights.values()))
        self._session = onnxruntime.InferenceSession(file or str(path), options, providers=["CPUExecutionProvider"])
        self.load_s = time.perf_counter() - begun
        self.inputs = _signatures(self._session.get_inputs())
        self.outputs = _signatures(self._session.get_outputs())
        self.takes_text = any(signature.datatype == "BYTES" for signature in self.inputs.values())
        settings.check(self.inputs, self.outputs, board_threads)
        self.labels = config.labels(settings, path.parent.parent)
        # numpy has no BF16, so such a model takes the longer way through ONNX Runtime's own values.
        signatures = [*self.inputs.values(), *self.outputs.values()]
        run = self._run_values if any(signature.datatype == "BF16" for signature in signatures) else self._run
        self.worker = Worker(
            f"{name}/{version}",
            run if pace is None else _paced(run, pace, name, batched=settings.max_batch_size > 0),
            largest_batch=settings.max_batch_size if settings.dynamic_batching else 0,
            patience_s=settings.max_queue_delay_us / 1e6,
            enough=settings.preferred_batch_size or settings.max_batch_size,
            at_once=pace is None,
        )
        # A client with binary tensors says the same before each of them.
        self._remembered = lru_cache(maxsize=64)(partial(read_document, inputs=self.inputs, outputs=self.outputs))
        self._users = 0
        self._retired = False
        self._lock = threading.Lock()

    def decode(self, body: memoryview, json_length: int) -> InferRequest:
        """The inference that a request's body asks for; its first `json_length` bytes are JSON.

        Raises:
            BadRequest: see `tensors.read_document` and `tensors.Document.with_tensors`.
        """
        text = body[:json_length]
        if json_length == len(body) or json_length > _REMEMBERED_BYTES:
            document = read_document(text, self.inputs, self.outputs)
        else:
            document = self._remembered(bytes(text))
        return document.with_tensors(body[json_length:])

    def acquire(self) -> bool:
        """Keep it running until `release`; False when it is retired already, and another is in its place."""
        with self._lock:
            if not self._retired:
                self._users += 1
            return not self._retired

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._retired and self._users == 0:
                self.worker.stop()

    def retire(self) -> None:
        """Take no more requests; end after those in flight."""
        with self._lock:
            self._retired = True
            if self._users == 0:
                self.worker.stop()

    def _run(self, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Arrays in, arrays out, both uncopied."""
        results: list[np.ndarray] = self._session.run(outputs, inputs)
        return results

    def _run_values(self, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        values = {}
        for name, array in inputs.items():
            if self.inputs[name].datatype == "BF16":
                values[name] = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _BFLOAT16)
            else:
                values[name] = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        results = self._session.run_with_ort_values(list(outputs), values)
        return [
            _bits(result) if self.outputs[name].datatype == "BF16" else result.numpy()
            for name, result in zip(outputs, results, strict=True)
        ]

    def metadata(self, versions: Sequence[str]) -> dict[str, Any]:
        return {
            "name": self.name,
            "versions": list(versions),
            "platform": "onnxruntime_onnx",
            "inputs": [signature.as_json() for signature in self.inputs.values()],
            "outputs": [signature.as_json() for signature in self.outputs.values()],
        }


def _paced(run: Run, pace: Pace, name: str, *, batched: bool) -> Run:
    def held(inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        with pace.held(name, len(next(iter(inputs.values()))) if batched else 1):
            return run(inputs, outputs)

    return held


def _read_weights(path: Path) -> dict[str, Any]:
    from .weights import read_external  # needed by few: under emulation each import is time until the server is ready

    return read_external(path)


def _options(settings: ModelConfig, board_threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.intra_op_threads or board_threads
    options.inter_op_num_threads = settings.inter_op_threads or 1
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, _LEVELS[settings.graph_optimization_level]
    )
    options.execution_mode = getattr(onnxruntime.ExecutionMode, f"ORT_{settings.execution_mode.upper()}")
    options.enable_cpu_mem_arena = settings.enable_cpu_mem_arena
    options.enable_mem_pattern = settings.enable_mem_pattern
    # A thread that spins while it waits takes the core from one that works wherever the board has more cores
    # than this host, and always in an emulator.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _signatures(arguments: Sequence[Any]) -> Mapping[str, Signature]:
    return {argument.name: Signature.of(argument) for argument in arguments}


def _bits(value: Any) -> np.ndarray:
    """The bits of a BF16 value, copied: its memory ends with it."""
    import ctypes

    shape = value.shape()
    count = int(np.prod(shape, dtype=np.int64))
    if count == 0:
        return np.empty(shape, np.uint16)
    memory = (ctypes.c_uint16 * count).from_address(value.data_ptr())
    bits: np.ndarray = np.ctypeslib.as_array(memory).reshape(shape).copy()
    return bits
