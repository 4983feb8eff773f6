"""The inference of one request: decode, wait for the model, run, encode, count. Every transport goes this way.

There is no HTTP here. A transport gives bytes to `decode` and takes bytes from `encode`, or has a form of its own, and
uses `Inference` between the two:

    with Inference(models.acquire(name)) as inference:
        request = await decode(inference.model, body, json_length)
        response = await inference.run(request)
        parts, json_length = await encode(response)
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from .codec import encode_response
from .inference_request import BadRequest, InferRequest, InferResponse
from .loaded_model import LoadedModel
from .model_statistics import Timing
from .worker import Job

# More JSON or text than this is read or written off the event loop, so that other requests, health among them, are
# answered meanwhile.
LARGE_BYTES = 256 << 10


class Inference:
    """One request's inference on an acquired model.

    The end of the `with` block counts the request in the model's statistics, as failed if the block raised, and
    releases the model.
    """

    def __init__(self, model: LoadedModel) -> None:
        """Begin to measure the time of the request.

        Args:
            model: acquired by the caller; released here.
        """
        self.model = model
        self._started_ns = time.perf_counter_ns()
        self._job: Job | None = None
        self._rows = 1

    def __enter__(self) -> Inference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None or self._job is None:
            self.model.statistics.failed(time.perf_counter_ns() - self._started_ns)
        else:
            self.model.statistics.succeeded(self._timing(self._job))
        self.model.release()

    async def run(self, request: InferRequest) -> InferResponse:
        """Wait for the model, and run it.

        Raises:
            BadRequest: the model cannot run with these inputs.
        """
        model = self.model
        self._rows = _rows(model, request)
        job = self._job = Job(
            request.inputs,
            [output.name for output in request.outputs],
            batched=model.config.dynamic_batching,
            loop=asyncio.get_running_loop(),
        )
        model.worker.submit(job)
        try:
            results = await job.done
        except ValueError as error:  # InferenceFailed, and what the worker says of inputs or outputs of a batch
            raise BadRequest(f"model {model.name!r} cannot run with these inputs: {_one_line(error)}") from error
        return InferResponse(
            model.name, model.version, request.id, request.outputs, results, model.outputs, model.labels
        )

    def _timing(self, job: Job) -> Timing:
        return Timing(
            queue_ns=job.started_ns - job.queued_ns,
            input_ns=job.queued_ns - self._started_ns,
            infer_ns=job.finished_ns - job.started_ns,
            output_ns=time.perf_counter_ns() - job.finished_ns,
            rows=self._rows,
            batch_rows=job.batch_rows if self.model.config.dynamic_batching else self._rows,
        )


async def decode(model: LoadedModel, body: memoryview, json_length: int) -> InferRequest:
    """Read a request in the protocol's JSON and binary form; `json_length` is how many bytes of `body` are JSON.

    Raises:
        BadRequest: see `codec.RequestDecoder.decode`.
    """
    if model.decoder.text_bytes(body, json_length) > LARGE_BYTES:
        return await asyncio.to_thread(model.decoder.decode, body, json_length)
    return model.decoder.decode(body, json_length)


async def encode(response: InferResponse) -> tuple[list[bytes | memoryview], int | None]:
    """Write a response in the protocol's JSON and binary form; see `codec.encode_response`."""
    if _is_large(response):
        return await asyncio.to_thread(encode_response, response)
    return encode_response(response)


def _rows(model: LoadedModel, request: InferRequest) -> int:
    """Return the size of the request's batch; 1 for a model without batches."""
    largest = model.config.max_batch_size
    if not largest:
        return 1
    sizes = {name: array.shape[0] if array.ndim else 0 for name, array in request.inputs.items()}
    if len(set(sizes.values())) > 1:
        raise BadRequest(
            f"inputs of different batch sizes: {', '.join(f'{name!r} {size}' for name, size in sizes.items())}"
        )
    rows: int = next(iter(sizes.values()))
    if not 1 <= rows <= largest:
        raise BadRequest(
            f"input {next(iter(sizes))!r} has a batch of {rows}; model {model.name!r} takes 1 to {largest}"
        )
    return rows


def _is_large(response: InferResponse) -> bool:
    """Return whether encoding takes long: JSON, classes or text of many values."""
    return any(
        result.nbytes > LARGE_BYTES and (not output.binary or output.classes or result.dtype.hasobject)
        for output, result in zip(response.outputs, response.results)
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
