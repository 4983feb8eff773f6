"""Models that ONNX Runtime's own quantizer makes in int8, kept in the user's cache by their content.

The quantization is static, with a scale for each channel of the weights, and QuantizeLinear and DequantizeLinear in the
graph: what ONNX Runtime's documentation recommends for a CPU. Its ranges are those of the model's own inputs: the
samples beside the model, or those that the options name, else random ones. Random ones give a graph with the right
operations, so the right time and size, and answers that mean nothing.
"""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgesim import inputs, paths
from edgesim.errors import EdgesimError, ModelError
from edgesim.host import cache
from edgesim.inputs import Arrays
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import InputOptions

# Requests that the ranges are taken from.
_MOST_REQUESTS = 64
# From this opset on, QuantizeLinear has a scale for each channel.
_PER_CHANNEL_OPSET = 13


class _Requests:
    """Requests as ONNX Runtime's calibration reads them: one after the other, then None (`CalibrationDataReader`)."""

    def __init__(self, requests: Iterator[Arrays]) -> None:
        self._requests = requests

    def get_next(self) -> dict[str, Any] | None:
        return next(({**request} for request in self._requests), None)


class Quantized(NamedTuple):
    """A quantized model, and a remark for its figures."""

    model: Model
    note: str


def int8(model: Model, options: InputOptions) -> Quantized:
    """Return a model in int8, made by ONNX Runtime's quantizer; a model of the same content is quantized once.

    Raises:
        ModelError: the inputs do not fit the model, or the quantizer refuses it.
        HostError: the cache cannot be written.
    """
    import onnxruntime

    chosen = inputs.choose(model, options)
    requests = chosen.requests[:_MOST_REQUESTS]
    digest = hashlib.sha256(f"{model.sha256} {onnxruntime.__version__}".encode())
    for request in requests:
        for name, array in sorted(request.items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
    repository_path = paths.cache_directory() / "quantized" / digest.hexdigest()[:24]
    if not cache.has(repository_path) or not (repository_path / model.name).is_dir():
        with cache.new_entry(repository_path / model.name, needed_bytes=2 * model.size_bytes) as directory:
            version = directory / "1"
            version.mkdir()
            _quantize(model, _Requests(iter(requests)), version / repository.FILE_NAME)
            for path in _beside(model):
                (directory / path.name).write_bytes(path.read_bytes())
    note = f"int8 made by ONNX Runtime {onnxruntime.__version__}'s quantizer, calibrated with {chosen.origin}"
    if chosen.is_random:
        note += ": its time and size count, its answers do not"
    return Quantized(repository.find(model.name, repository_path), note)


def _beside(model: Model) -> list[Path]:
    """Return the files that a variant shares with its model: samples, inputs and configuration."""
    configuration = model.configuration.paths if model.configuration is not None else ()
    return [path for path in (model.samples_path, *configuration) if path is not None]


def _quantize(model: Model, reader: _Requests, into: Path) -> None:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = into.with_name("prepared.onnx")
    logging.disable(logging.WARNING)  # advice to whoever calls the quantizer
    try:
        quant_pre_process(str(model.path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(into),
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=model.opset >= _PER_CHANNEL_OPSET,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
    except EdgesimError:
        raise
    except Exception as error:  # of ONNX Runtime, of ONNX or of numpy: there is no base class
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"{model.name}: ONNX Runtime's quantizer cannot make it int8: {why}",
            fix=f"quantize the model yourself, and save it as {model.name}-int8 beside it",
        ) from error
    finally:
        logging.disable(logging.NOTSET)
        prepared.unlink(missing_ok=True)
