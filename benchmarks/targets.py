"""The tables of targets: three networks on every Jetson and target, and what the power modes change."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import edgesim
from benchmarks import networks
from edgesim import profiles
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.predictions import Declined, Prediction, predict_targets
from edgesim.units import format_ms

TARGETS = ("cpu", "gpu:tensorrt-fp32", "gpu:tensorrt-fp16", "gpu:tensorrt-int8")
OF_MODES = "gpu:tensorrt-fp16"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    print(f"| {' | '.join(heads)} |")
    print(f"|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)
    print()


def cell(answer: Prediction | Declined | None) -> str:
    """Return a time with its band; nothing where none is predicted."""
    if not isinstance(answer, Prediction):
        return "-"
    return f"{format_ms(answer.p50_ms)} ({format_ms(answer.low_ms)} to {format_ms(answer.high_ms)})"


def of_network(title: str, model: Model, boards: Sequence[str]) -> None:
    """Print a network's time on every target of the boards, in their default modes."""
    print(f"### {title}\n")
    rows = []
    for name in boards:
        board = profiles.load(name)
        answers = predict_targets(board, model, use_calibration=False)
        rows.append((f"`{name}`", board.mode or "", *(cell(answers.get(target)) for target in TARGETS)))
    table(("board", "mode", *TARGETS), rows)


def of_modes(title: str, model: Model, boards: Sequence[str]) -> None:
    """Print a network's time on the GPU in every power mode, and the ratio to the default mode's."""
    print(f"### Power modes: {title} on `{OF_MODES}`\n")
    rows = []
    for name in boards:
        default_ms = edgesim.predict(name, model, target=OF_MODES, use_calibration=False).p50_ms
        for mode in profiles.load(name).modes:
            board = profiles.load(f"{name}:{mode}")
            gpu = next(each for each in board.accelerators if each.name == "gpu")
            ms = edgesim.predict(board, model, target=OF_MODES, use_calibration=False).p50_ms
            facts = (
                f"{gpu.units}",
                f"{(gpu.clock_hz or 0) / 1e6:.0f}",
                f"{(board.memory.bandwidth_bytes_per_s or 0) / 1e9:.1f}",
            )
            rows.append((f"`{name}:{mode}`", *facts, format_ms(ms), f"{ms / default_ms:.2f}"))
    table(("board and mode", "multiprocessors", "GPU, MHz", "memory, GB/s", "ms", "of the default mode's"), rows)


def main() -> None:
    boards = [name for name in profiles.names() if name.startswith("jetson")]
    with tempfile.TemporaryDirectory() as directory:
        files = networks.write_all(Path(directory))
        models = {title: repository.find(str(path), None) for title, path in files.items()}
        for title, model in models.items():
            of_network(title, model, boards)
        title = "ResNet-50, 224x224"
        of_modes(title, models[title], boards)


if __name__ == "__main__":
    main()
