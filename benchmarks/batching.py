"""Whether dynamic batching pays: a small model's throughput at 16 clients, with batching and without, in turns.

One process is all clients: each sends its next request as soon as it has its answer.
"""

import itertools
import selectors
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper

from benchmarks.servers import Server, connect, edgesim_server, receive, request, save

CLIENTS, ROUNDS, SECONDS = 16, 5, 2.0
SETTINGS = {"without": "", "batches, no delay": "0", "batches, 200 us delay": "200", "batches, 1000 us delay": "1000"}


def perceptron(path: Path, width: int) -> None:
    """Write a perceptron of 64 inputs, two hidden layers and 10 outputs, with seeded weights and an open batch."""
    generator = np.random.default_rng(0)
    sizes = [64, width, width, 10]
    nodes, weights, previous = [], [], "x"
    for i, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        last = i == len(sizes) - 2
        weights.append(numpy_helper.from_array(generator.normal(size=(rows, columns)).astype(np.float32), f"w{i}"))
        nodes.append(helper.make_node("MatMul", [previous, f"w{i}"], ["y" if last else f"m{i}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"m{i}"], [f"r{i}"]))
        previous = f"r{i}"
    save(path, nodes, (["batch", 64], ["batch", 10]), *weights)


def throughput(server: Server) -> float:
    """Return the answers per second that all clients together get."""
    sent, answered = request(server, [1, 64]), 0
    with selectors.DefaultSelector() as selector:
        for _ in range(CLIENTS):
            connection = connect(server)
            selector.register(connection, selectors.EVENT_READ)
            connection.sendall(sent)
        begun = time.perf_counter()
        while time.perf_counter() - begun < SECONDS:
            for key, _ in selector.select():
                receive(key.fileobj)  # type: ignore[arg-type]
                key.fileobj.sendall(sent)  # type: ignore[union-attr]
                answered += 1
        took = time.perf_counter() - begun
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return answered / took


def main() -> None:
    print(f"{'answers a second, 16 clients':<26}" + "".join(f"{name:>24}" for name in SETTINGS))
    for width in (256, 1024, 2048):
        with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
            repository = Path(scratch)
            for i, delay in enumerate(SETTINGS.values()):
                directory = repository / f"m{i}"
                perceptron(directory / "1" / "model.onnx", width)
                if delay:
                    (directory / "config.yaml").write_text(
                        f"max_batch_size: 16\ndynamic_batching: true\nmax_queue_delay_us: {delay}\n"
                    )
            with edgesim_server(repository, "m0") as server:
                models = [Server(server.name, server.port, f"m{i}", server.process, True) for i in range(len(SETTINGS))]
                rounds = [[throughput(model) for model in models] for _ in range(ROUNDS)]
        medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
        ratios = [statistics.median(row[i] / row[0] for row in rounds) for i in range(len(SETTINGS))]
        cells = [f"{median:.0f} ({ratio:.2f}x)" for median, ratio in zip(medians, ratios, strict=True)]
        print(f"{f'perceptron 64-{width}-{width}-10':<26}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
