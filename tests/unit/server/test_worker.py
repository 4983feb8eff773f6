"""The queue before a model: which requests share a batch, and what happens when a batch fails."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from edgesim.server.worker import Job, Worker

Arrays = dict[str, np.ndarray]


class Model:
    """Doubles its input; refuses a batch in which a value is negative. Remembers the sizes of its runs."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, inputs: Arrays, outputs: Sequence[str]) -> list[np.ndarray]:
        self.gate.wait(10)
        values = inputs["x"]
        self.sizes.append(len(values))
        if (values < 0).any():
            raise ValueError("a negative value")
        return [values * 2 for _ in outputs]


async def run(model: Model, batches: list[np.ndarray], *, largest: int = 8, preferred: int = 8) -> list[object]:
    """Submit all batches at once, and return their results or errors."""
    worker = Worker("m", model, largest_batch=largest, max_delay_s=0.2 if largest else 0.0, preferred_batch=preferred)
    loop = asyncio.get_running_loop()
    jobs = [Job({"x": values}, ["y"], batched=largest > 0, loop=loop) for values in batches]
    for job in jobs:
        worker.submit(job)
    results = await asyncio.gather(*(job.done for job in jobs), return_exceptions=True)
    worker.stop()
    return [result[0].tolist() if isinstance(result, list) else str(result) for result in results]


def rows(*values: float) -> np.ndarray:
    return np.array([[value] for value in values], np.float32)


def test_requests_share_a_batch_up_to_the_largest_batch() -> None:
    model = Model()
    results = asyncio.run(run(model, [rows(1, 2), rows(3), rows(4, 5, 6), rows(7, 8, 9)]))
    assert results == [[[2], [4]], [[6]], [[8], [10], [12]], [[14], [16], [18]]]
    assert model.sizes == [6, 3]


def test_batch_of_the_preferred_size_does_not_wait_for_more() -> None:
    model = Model()
    asyncio.run(run(model, [rows(1), rows(2), rows(3), rows(4)], preferred=2))
    assert model.sizes == [2, 2]


def test_requests_of_different_shapes_do_not_share_a_batch() -> None:
    model = Model()
    asyncio.run(run(model, [rows(1), np.ones((1, 2), np.float32), np.ones((1, 2), np.float32)]))
    assert model.sizes == [1, 2]


def test_without_batching_each_request_runs_alone() -> None:
    model = Model()
    asyncio.run(run(model, [rows(1), rows(2)], largest=0))
    assert model.sizes == [1, 1]


def test_values_of_one_request_do_not_fail_the_others_in_its_batch() -> None:
    results = asyncio.run(run(Model(), [rows(1), rows(-1), rows(3)]))
    assert results == [[[2]], "a negative value", [[6]]]


def test_cancelled_request_is_not_run() -> None:
    model = Model()
    model.gate.clear()

    async def main() -> None:
        worker = Worker("m", model, largest_batch=0, max_delay_s=0, preferred_batch=0)
        loop = asyncio.get_running_loop()
        first, second, third = (Job({"x": rows(i)}, ["y"], batched=False, loop=loop) for i in range(3))
        for job in (first, second, third):
            worker.submit(job)
        second.done.cancel()
        model.gate.set()
        await first.done
        await third.done
        worker.stop()

    asyncio.run(main())
    assert model.sizes == [1, 1]


def test_quick_model_runs_in_the_calling_thread_and_a_slow_one_in_its_own() -> None:
    model, threads = Model(), []

    def run_model(inputs: Arrays, outputs: Sequence[str]) -> list[np.ndarray]:
        threads.append(threading.current_thread().name)
        return model(inputs, outputs)

    async def main() -> None:
        worker = Worker("m", run_model, largest_batch=0, max_delay_s=0, preferred_batch=0)
        loop = asyncio.get_running_loop()
        for _ in range(200):
            job = Job({"x": rows(1)}, ["y"], batched=False, loop=loop)
            worker.submit(job)
            assert (await job.done)[0].tolist() == [[2.0]]
        large = Job({"x": np.ones((20_000, 1), np.float32)}, ["y"], batched=False, loop=loop)
        worker.submit(large)
        await large.done
        failing = Job({"x": rows(-1)}, ["y"], batched=False, loop=loop)
        worker.submit(failing)
        with pytest.raises(ValueError, match="a negative value"):
            await failing.done
        worker.stop()

    asyncio.run(main())
    assert threads[0] == "model m"
    assert threading.current_thread().name in threads
    assert threads[200] == "model m"
