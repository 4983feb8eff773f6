"""`edgesim models`: the models at hand, and what is in them."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from edgesim import profiles
from edgesim.cli._console import out, print_json
from edgesim.cli._options import JsonOption, ModelArgument, ModelsOption
from edgesim.errors import ExitCode
from edgesim.models import repository as model
from edgesim.models import samples
from edgesim.models.repository import Model
from edgesim.units import format_bytes

app = typer.Typer(help="The models at hand, and what is in them.", no_args_is_help=True)


@app.command("list")
def list_(models: ModelsOption = None, as_json: JsonOption = False) -> int:
    """The models of the repository, and the sample models."""
    repository = models if models is not None else Path("models")
    found = model.names(repository)
    if as_json:
        print_json({"repository": str(repository), "models": found, "samples": list(samples.NAMES)})
        return ExitCode.OK
    for name in found:
        print(f"{name}  (in {repository}/)")
    for name in samples.NAMES:
        if name not in found:
            print(f"{name}  (sample, built on first use)")
    return ExitCode.OK


@app.command("show")
def show(m: ModelArgument, models: ModelsOption = None, as_json: JsonOption = False) -> int:
    """Signature, opset, operations and size of a model, and the boards that its weights fit on."""
    subject = model.find(m, models)
    fits = [name for name in profiles.names() if subject.size_bytes < profiles.load(name).memory.visible_bytes]
    if as_json:
        print_json(_model_facts(subject, fits))
        return ExitCode.OK
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row(subject.name, f"version {subject.version}, {subject.path}")
    for name, tensors in (("input", subject.inputs), ("output", subject.outputs)):
        for tensor in tensors:
            table.add_row(name, f"{tensor}")
    table.add_row("opset", str(subject.opset))
    table.add_row("operations", ", ".join(f"{count} {name}" for name, count in subject.operations.most_common()))
    table.add_row("parameters", f"{subject.parameters:,}")
    table.add_row("size", format_bytes(subject.size_bytes))
    table.add_row("weights fit on", ", ".join(fits) or "no board")
    for key, value in subject.metadata.items():
        table.add_row(key.replace("_", " "), value)
    out.print(table)
    return ExitCode.OK


def _model_facts(subject: Model, fits: list[str]) -> dict[str, Any]:
    def tensors(side: tuple[model.Tensor, ...]) -> list[dict[str, Any]]:
        return [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in side]

    return {
        "name": subject.name,
        "version": subject.version,
        "path": str(subject.path),
        "sha256": subject.sha256,
        "size_bytes": subject.size_bytes,
        "opset": subject.opset,
        "inputs": tensors(subject.inputs),
        "outputs": tensors(subject.outputs),
        "operations": dict(subject.operations.most_common()),
        "parameters": subject.parameters,
        "metadata": subject.metadata,
        "weights_fit_on": fits,
    }


@app.command("build")
def build(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help=f"Of {', '.join(samples.NAMES)} [default: all].")
    ] = None,
    models: ModelsOption = None,
) -> int:
    """Build sample models into a repository [default: the user's cache]."""
    for name in names or samples.NAMES:
        repository = samples.ensure(name, models)
        print(repository / name)
    return ExitCode.OK
