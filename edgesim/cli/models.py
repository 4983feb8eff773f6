"""``edgesim models``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from edgesim import profiles
from edgesim.cli._app import new_app
from edgesim.cli._console import print_json, show
from edgesim.cli._options import JsonOption, ModelArgument, ModelsOption
from edgesim.cli._tables import fact_list
from edgesim.errors import ExitCode
from edgesim.models import repository, samples, state
from edgesim.models.configuration import Configuration
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor
from edgesim.printable import printable
from edgesim.server.config import ConfigError
from edgesim.units import format_bytes

# What is shown of an entry of a model's metadata, and of the entries.
_MOST_LINES, _MOST_LETTERS, _MOST_LABEL, _MOST_ENTRIES = 3, 300, 40, 20
_MOST_JSON_LETTERS = 1_000_000

app = new_app("List, describe and build models.")


@app.examples("edgesim models list", "edgesim models list --models my-models --json", name="list")
def list_command(models: ModelsOption = None, as_json: JsonOption = False) -> int:
    """List the models of the repository, and the sample models."""
    directory = models if models is not None else repository.DEFAULT
    names = repository.names(directory)
    if as_json:
        print_json({"repository": str(directory), "models": names, "samples": list(samples.NAMES)})
        return ExitCode.OK
    for name in names:
        print(f"{printable(name)}  (in {directory}/)")
    for name in samples.NAMES:
        if name not in names:
            print(f"{name}  (sample, built on first use)")
    return ExitCode.OK


@app.examples("edgesim models show digits", "edgesim models show models/detector.onnx --json", name="show")
def show_command(model: ModelArgument, models: ModelsOption = None, as_json: JsonOption = False) -> int:
    """Describe a model: its inputs, opset, operations and size, and the boards that its weights fit on."""
    described = repository.find(model, models)
    fits = [name for name in profiles.names() if described.size_bytes < profiles.load(name).memory.visible_bytes]
    if as_json:
        print_json(_facts(described, fits))
        return ExitCode.OK
    show(fact_list(_rows(described, fits)))
    return ExitCode.OK


def _rows(model: Model, fits: list[str]) -> Iterator[tuple[str, str]]:
    yield printable(model.name), printable(f"version {model.version}, {model.path}")
    yield from (("input", str(tensor)) for tensor in model.inputs)
    yield from (("output", str(tensor)) for tensor in model.outputs)
    yield "opset", model.opset_words
    yield "operations", ", ".join(f"{count} {name}" for name, count in model.operations.most_common())
    yield "parameters", f"{model.parameters:,}"
    yield "size", format_bytes(model.size_bytes)
    if alike := state.look_alikes(model):
        yield "state", f"{state.words(alike)} (by the names; --state auto feeds it)"
    if model.configuration is not None:
        yield "configuration", _settings(model.configuration)
    yield "weights fit on", ", ".join(fits) or "no board"
    entries = list(model.metadata.items())
    yield from ((_label(key), _cut(value)) for key, value in entries[:_MOST_ENTRIES])
    if len(entries) > _MOST_ENTRIES:
        yield "metadata", f"{len(entries) - _MOST_ENTRIES:,} more entries; all of them: --json"


def _label(key: str) -> str:
    words = " ".join(key.replace("_", " ").split())
    return words if len(words) <= _MOST_LABEL else f"{words[:_MOST_LABEL]}…"


def _cut(text: str) -> str:
    """Return the beginning of a text, and how much is left out: exporters put whole dictionaries into metadata."""
    lines = text.splitlines() or [""]
    begin = " ".join(" ".join(lines[:_MOST_LINES]).split())
    if len(lines) <= _MOST_LINES and len(begin) <= _MOST_LETTERS:
        return begin
    size = f"{len(lines):,} lines" if len(lines) > _MOST_LINES else f"{len(text):,} letters"
    return f"{begin[:_MOST_LETTERS]} … ({size}; all of them: --json)"


def _facts(model: Model, fits: list[str]) -> dict[str, Any]:
    def tensors(side: tuple[Tensor, ...]) -> list[dict[str, Any]]:
        return [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in side]

    return {
        "name": model.name,
        "version": model.version,
        "path": str(model.path),
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "opset": model.opset,
        "opsets": model.opsets,
        "inputs": tensors(model.inputs),
        "outputs": tensors(model.outputs),
        "operations": dict(model.operations.most_common()),
        "parameters": model.parameters,
        "metadata": {key: value[:_MOST_JSON_LETTERS] for key, value in model.metadata.items()},
        "metadata_cut": [key for key, value in model.metadata.items() if len(value) > _MOST_JSON_LETTERS],
        "configuration": _configuration(model.configuration) if model.configuration is not None else None,
        "looks_like_state": state.look_alikes(model),
        "weights_fit_on": fits,
    }


def _configuration(configuration: Configuration) -> dict[str, Any]:
    files = [str(path.relative_to(configuration.directory)) for path in configuration.paths]
    if isinstance(configuration.config, ConfigError):
        return {"files": files, "error": str(configuration.config)}
    return {"files": files, "settings": configuration.settings()}


def _settings(configuration: Configuration) -> str:
    """Return in words what the files beside the model say, or why the server refuses them."""
    if isinstance(configuration.config, ConfigError):
        return f"refused by the server: {configuration.config}"
    settings = ", ".join(f"{name} {value}" for name, value in configuration.settings().items())
    return f"{configuration.config.source}: {settings or 'the defaults'}"


@app.examples("edgesim models build", "edgesim models build digits --models models", name="build")
def build_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help=f"Sample models: {', '.join(samples.NAMES)} [default: all]."),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="Build into this model repository [default: the user's cache]."),
    ] = None,
) -> int:
    """Build sample models into a model repository."""
    for name in names or samples.NAMES:
        directory = samples.ensure(name, models)
        print(directory / name)
    return ExitCode.OK
