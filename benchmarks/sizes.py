"""Sizes of tensors from inference beside those from a run: all models that the repository can build.

    python -m benchmarks.sizes [DIRECTORY]

Further models are those of DIRECTORY, or those of `benchmarks.real_models`. Prints the table of
docs/evidence/models.md, and ends with exit code 1 if the two sources disagree. `make test-long` compares the operator
tests of the ONNX standard as well.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import counted_models, networks, real_models, runtime_loads
from edgesim.errors import ModelError
from edgesim.inputs.first_request import FirstRequest
from edgesim.models import repository, samples
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from tests.support import sequence_models
from tests.support.compared_sizes import compare_sizes

_EXAMPLE = Path(__file__).parents[1] / "examples" / "stacks" / "parallel" / "detector.onnx"


def groups(scratch: Path, further: Path | None) -> Iterator[tuple[str, list[Model]]]:
    """Yield the kinds of models, each with its models."""

    def directory(name: str) -> Path:
        made = scratch / name
        made.mkdir()
        return made

    def read(paths: Iterator[Path]) -> list[Model]:
        return [repository.find(str(path)) for path in sorted(paths)]

    yield "sample models, and that of an example", [*map(repository.find, samples.NAMES), *read(iter([_EXAMPLE]))]
    yield "networks of published figures", read(iter(networks.write_all(directory("networks")).values()))
    counted = directory("counted")
    block = counted_models.transformer_block(counted / "transformer.onnx")
    layers = counted_models.layers(8, counted / "layers.onnx")
    yield "layers, a transformer's block, its int8", [layers, block, counted_models.int8(block, counted / "int8.onnx")]
    made = runtime_loads.write_models(directory("releases"))
    yield (
        "products of other opsets and precisions",
        read(path for path in made.values() if path.stem not in runtime_loads.SAMPLES),
    )
    sequence_models.main(scratch / "sequences")
    yield "decoders with a cache, models with a state", read((scratch / "sequences").glob("*.onnx"))
    if further is not None:
        yield "models of a directory", read(further.glob("*.onnx"))
        return
    listed = real_models.all_models(real_models.MODELS)
    for title, own in (("models that packages ship", False), ("kinds that no package ships", True)):
        yield title, read(each.path for each in listed if (each.source in ("built", "exported")) is own)


def main() -> None:
    further = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    total, differing = 0, []
    with tempfile.TemporaryDirectory() as scratch:
        print("| models | number | tensors with both sizes | disagreements |\n|---|---|---|---|")
        for title, models in groups(Path(scratch), further):
            compared = []
            for model in models:
                arrays, _ = FirstRequest(model, options=InputOptions(auto_dims=True)).arrays()
                try:
                    compared.append(compare_sizes(model, arrays))
                except ModelError as error:
                    print(f"{model.name}: {error.problem}", file=sys.stderr)
            tensors, words = sum(one.tensors for one in compared), [w for one in compared for w in one.disagreements]
            print(f"| {title} | {len(compared)} | {tensors:,} | {len(words)} |", flush=True)
            total, differing = total + tensors, [*differing, *words]
    print("\n".join(differing))
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
