"""``edgesim recommend``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from edgesim.cli import _console, _settings
from edgesim.cli._app import new_app
from edgesim.cli._options import JsonOption, QuietOption
from edgesim.cli._tables import text_table
from edgesim.errors import ExitCode, UsageError
from edgesim.reports.formats.text_layout import Paragraph, TextTable
from edgesim.results import sweep_directory
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.recommend import Choice, facts, predicted_cells, recommend
from edgesim.units import counted, format_bytes, format_ms

app = new_app()


@app.examples(
    "edgesim recommend --model detector --rule 'device_time_ms.p50 <= 50'",
    "edgesim recommend --profile raspberry-pi-5 --model 'models/*' --rule 'device_time_ms.high <= 33'",
    "edgesim recommend results --rule 'device_time_ms.p50 <= 50' --rule 'accuracy>=0.9'",
)
def recommend_command(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="The directory of a sweep [default: predict for the boards and models of the options]."
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Bound a figure, as in 'device_time_ms.p50 <= 50'; may be repeated."),
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Consider these boards; may be repeated [default: all]."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Consider these models; may be repeated.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE,…",
            help="Consider each of these values of an option of `edgesim sweep`, such as precision=fp32,int8.",
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Find the boards, and the variants of a model, that satisfy rules.

    Boards that satisfy all rules come first: the cheapest by the prices in the profiles, then the fastest. Without a
    directory, the device time is predicted on every target of each board. The exit code is 0 if a board satisfies all
    rules, 6 if this is unknown, and 1 if no board does.
    """
    if directory is not None:
        if profile or model or settings:
            raise UsageError(
                "DIR cannot be combined with --profile, --model and --set", fix="edgesim recommend DIR --rule RULE"
            )
        cells = sweep_directory.newest(sweep_directory.read(directory))
    else:
        cells = predicted_cells(Matrix.of(profile or ["*"], model or (), _settings.parsed(settings or ())))
    choices = recommend(cells, rule or ())
    best = choices[0].verdict
    if as_json:
        _console.print_json([facts(choice) for choice in choices])
    elif quiet:
        holding = [choice for choice in choices if choice.verdict == "PASS"]
        print(f"{best}  {', '.join(dict.fromkeys(choice.cell.name for choice in holding)) or 'none holds the rules'}")
    else:
        _show(choices)
    return {"PASS": ExitCode.OK, "FAIL": ExitCode.FAIL, "INCONCLUSIVE": ExitCode.INCONCLUSIVE}[best]


def _show(choices: list[Choice]) -> None:
    shown = [choice for choice in choices if choice.verdict != "FAIL"]
    failed = [choice for choice in choices if choice.verdict == "FAIL"]
    parts: list[RenderableType] = []
    if shown:
        parts += [_table(shown), Text()]
    undecided: dict[str, list[str]] = {}
    for choice in shown:
        if choice.verdict == "INCONCLUSIVE":
            undecided.setdefault(choice.why, []).append(choice.cell.name)
    parts += [Paragraph(f"{_first_of(names)}: {why}", "yellow") for why, names in undecided.items()]
    if failed:
        names = ", ".join(choice.cell.name for choice in failed)
        parts.append(Paragraph(f"FAIL: {names}", "dim"))
    _console.show(Group(*parts))


def _table(choices: list[Choice]) -> TextTable:
    """Return a row for each choice; columns that tell no choices apart are left out."""
    cells = [choice.cell for choice in choices]
    settings = dict.fromkeys(name for cell in cells for name in cell.settings)
    facts = {
        "precision": [cell.precision or "-" for cell in cells],
        **{name: [str(cell.settings.get(name, "-")) for cell in cells] for name in settings},
    }
    targets = {"target": [cell.target for cell in cells]} if any(cell.target != "cpu" for cell in cells) else {}
    named = {
        "rules": [choice.verdict for choice in choices],
        "board": [cell.profile for cell in cells],
        "model": [cell.model for cell in cells],
        **{name: column for name, column in facts.items() if len({*column}) > 1},
        **targets,
    }
    figures = {
        **({"price": [_price(choice) for choice in choices]} if any(choice.price for choice in choices) else {}),
        "device time, ms": [_shown(choice, "device_time_ms.p50") for choice in choices],
        "model size": [_shown(choice, "artifact_bytes") for choice in choices],
    }
    rows = zip(*named.values(), *figures.values(), strict=True)
    heads = (*named, *figures)
    return text_table(heads, rows, figures=tuple(figures), shortened=("board", "model"), keys=len(named))


def _first_of(names: list[str]) -> str:
    return f"{names[0]} and {counted(len(names) - 1, 'other')}" if len(names) > 1 else names[0]


def _price(choice: Choice) -> str:
    return f"{choice.price.amount:g} {choice.price.currency}" if choice.price is not None else "-"


def _shown(choice: Choice, name: str) -> str:
    value = choice.cell.value(name)
    if value is None:
        return "-"
    return format_bytes(value) if name.endswith("_bytes") else format_ms(value)
