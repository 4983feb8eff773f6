"""``edgesim history``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from edgesim.cli._app import OUTPUT, new_app
from edgesim.cli._console import print_json, say, show, show_path
from edgesim.cli._flag_groups import takes
from edgesim.cli._options import JsonOption
from edgesim.cli._outputs import require_writable, write
from edgesim.cli._tables import fact_list
from edgesim.errors import ExitCode, UsageError
from edgesim.histories import exports, phrases, steps
from edgesim.histories.exports import Direction
from edgesim.histories.history import History, Trends, history
from edgesim.histories.mlflow_runs import Runs
from edgesim.histories.places import DIRECTORY
from edgesim.histories.series import RECENT, Selection
from edgesim.reports.formats.text_layout import TextTable
from edgesim.units import counted

app = new_app("Keep results over time, and find the revisions at which figures changed.")

_WHICH, _STEPS = "Which results", "Steps"

DirectoryOption = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help=f"Keep the history in this directory [default: {DIRECTORY}]."),
]
BranchOption = Annotated[
    str | None,
    typer.Option(
        "--branch", metavar="NAME", help="Keep the history on this branch of the git repository, without a checkout."
    ),
]
MetricOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="Show this metric; may be repeated [default: one of each kind].",
        rich_help_panel=_WHICH,
    ),
]
ProfileOption = Annotated[
    list[str] | None,
    typer.Option("--profile", metavar="NAME", help="Look at this profile; may be repeated.", rich_help_panel=_WHICH),
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="Look at this model; may be repeated.", rich_help_panel=_WHICH),
]
CommitsOption = Annotated[
    str | None,
    typer.Option(
        "--commits",
        metavar="RANGE",
        help="Use the results of these commits, by first parents, such as v1.0..main [default: all results, in the"
        " order of their commits' dates].",
        rich_help_panel=_WHICH,
    ),
]
RecentOption = Annotated[
    int,
    typer.Option(
        "--recent",
        metavar="N",
        min=1,
        help="Call a step recent if it is within this many last results.",
        rich_help_panel=_STEPS,
    ),
]
MinChangeOption = Annotated[
    float,
    typer.Option(
        "--min-change",
        metavar="PERCENT",
        help="Ignore a smaller change; for answers, every change is a step.",
        rich_help_panel=_STEPS,
    ),
]
ConfidenceOption = Annotated[
    float,
    typer.Option("--confidence", metavar="P", help="A step is at least this sure.", rich_help_panel=_STEPS),
]
FailOnStepOption = Annotated[
    bool,
    typer.Option(
        "--fail-on-step",
        help="Exit with 1 if a figure recently became worse, for a nightly job.",
        rich_help_panel=_STEPS,
    ),
]
_MIN_CHANGE = 100 * steps.MIN_CHANGE


class _SelectionFlags:
    """Which history, which of its series, and what counts as a step."""

    directory: DirectoryOption = None
    branch: BranchOption = None
    metric: MetricOption = None
    profile: ProfileOption = None
    model: ModelOption = None
    commits: CommitsOption = None
    recent: RecentOption = RECENT
    min_change: MinChangeOption = _MIN_CHANGE
    confidence: ConfidenceOption = steps.CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class SelectedHistory:
    """The values of `_SelectionFlags`."""

    directory: Path | None
    branch: str | None
    metric: list[str] | None
    profile: list[str] | None
    model: list[str] | None
    commits: str | None
    recent: int
    min_change: float
    confidence: float

    @property
    def opened(self) -> History:
        """The history, with all of its entries."""
        return history(self.directory, branch=self.branch)

    def trends(self) -> Trends:
        """Return the series that the flags select, and say what of the history does not count.

        Raises:
            UsageError: nothing in the history fits the flags, or there is no such range of commits.
            ResultError: there is no history, or an entry was damaged.
        """
        selection = Selection(
            metrics=tuple(self.metric or ()),
            profiles=tuple(self.profile or ()),
            models=tuple(self.model or ()),
            commits=self.commits,
            recent=self.recent,
            min_change_percent=self.min_change,
            confidence=self.confidence,
        )
        opened = self.opened
        trends = opened.trends(selection)
        for note in phrases.notes(trends):
            say(f"edgesim: {opened}: {note}")
        if not trends.series and (self.metric or self.profile or self.model or self.commits):
            raise UsageError(f"{opened}: nothing in it fits the options", fix="edgesim history show lists all series")
        return trends


takes_selection = takes("selected", SelectedHistory, _SelectionFlags)


@app.examples(
    "edgesim history add result.json",
    "edgesim history add nightly/*.json --branch edgesim-history",
    "edgesim history add result.json --revision v1.4",
    name="add",
)
def add_command(
    results: Annotated[list[Path], typer.Argument(metavar="RESULT.json", help="VALID results, or saved baselines.")],
    directory: DirectoryOption = None,
    branch: BranchOption = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision",
            metavar="REV",
            help="The git revision of the results; outside of git, any name [default: HEAD].",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Keep the figures of results, without their requests, in one small file each.

    The exit code is 5 if a run is INVALID; the other results are still added.
    """
    addition = history(directory, branch=branch).add(*results, revision=revision)
    for name, why in addition.refused.items():
        say(f"edgesim: {name}: an INVALID run is no part of a history: {why}")
    if as_json:
        print_json({"added": addition.added, "known": addition.known, "refused": dict(addition.refused)})
    else:
        for name in addition.known:
            say(f"edgesim: {name}: is there already")
        for name in addition.added:
            show_path("added", name)
    return ExitCode.INVALID if addition.refused else ExitCode.OK


@app.examples(
    "edgesim history show",
    "edgesim history show --branch edgesim-history --commits v1.0..main --fail-on-step",
    "edgesim history show --metric latency_ms.p50 --min-change 3",
    "edgesim history show --json > history.jsonl",
    name="show",
)
@takes_selection
def show_command(
    *,
    selected: SelectedHistory,
    fail_on_step: FailOnStepOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each series.", rich_help_panel=OUTPUT)
    ] = False,
) -> int:
    """Show each figure over time, and the revisions at which it changed."""
    trends = selected.trends()
    if as_json:
        print(exports.jsonl(trends.series), end="")
    else:
        _show(trends)
    return _code(trends, fail_on_step)


@app.examples(
    "edgesim history page -o history.html",
    "edgesim history page --branch edgesim-history --commits main -o history.html",
    name="page",
)
@takes_selection
def page_command(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.html", help="Write the page.")],
    *,
    selected: SelectedHistory,
    fail_on_step: FailOnStepOption = False,
) -> int:
    """Write a page with a plot of each figure over time; it loads nothing from elsewhere."""
    from edgesim.histories import page

    require_writable(output)
    trends = selected.trends()
    write(output, page.render(trends))
    show_path("page", output)
    return _code(trends, fail_on_step)


@app.examples(
    "edgesim history export jsonl -o history.jsonl",
    "edgesim history export prometheus -o /var/lib/node_exporter/edgesim.prom",
    "edgesim history export github-action-benchmark -o output.json",
    "edgesim history export mlflow --mlflow http://localhost:5000",
    name="export",
)
@takes_selection
def export_command(
    format_: Annotated[
        Literal["jsonl", "prometheus", "github-action-benchmark", "mlflow"],
        typer.Argument(metavar="FORMAT", help="jsonl, prometheus, github-action-benchmark, or mlflow with --mlflow."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file [default: print].")
    ] = None,
    *,
    selected: SelectedHistory,
    direction: Annotated[
        Direction,
        typer.Option(
            metavar="smaller|bigger",
            help="For github-action-benchmark: export the figures for which this is better, since each of its"
            " tools takes"
            " one kind.",
        ),
    ] = "smaller",
    mlflow: Annotated[
        str | None, typer.Option("--mlflow", metavar="URI", help="For mlflow: the address of its server.")
    ] = None,
) -> int:
    """Write the history in the format of another program; log each missing result to MLflow as a run."""
    if (format_ == "mlflow") != (mlflow is not None) or (mlflow is not None and output is not None):
        raise UsageError(
            "--mlflow: is only for the format mlflow, without -o", fix="edgesim history export mlflow --mlflow URI"
        )
    if output is not None:
        require_writable(output)
    if mlflow is not None:
        return _to_mlflow(selected, mlflow)
    series = selected.trends().series
    if format_ == "github-action-benchmark":
        text = exports.github_action_benchmark(series, direction)
    else:
        text = exports.jsonl(series) if format_ == "jsonl" else exports.prometheus(series)
    if output is None:
        print(text, end="")
    else:
        write(output, text)
    return ExitCode.OK


def _to_mlflow(selected: SelectedHistory, uri: str) -> ExitCode:
    """Log each result that counts, unless a run of it is there."""
    entries = dict.fromkeys(point.entry.file_name for series in selected.trends().series for point in series.points)
    runs, logged = Runs(uri), 0
    for entry in selected.opened.entries()[0]:
        if entry.file_name in entries and not runs.has(entry):
            runs.log(entry)
            logged += 1
    show(f"{logged} of {len(entries)} results logged to MLflow at {runs}; the others were there")
    return ExitCode.OK


def _show(trends: Trends) -> None:
    if not trends.series:
        show("no result in it")
        return
    for table in phrases.tables(trends.series):
        show(TextTable(table))
        show()
    found = [(series, step) for series in trends.series for step in series.steps]
    if not found:
        show(f"no step in {counted(trends.entries, 'result')}")
        return
    show(
        fact_list(
            (
                phrases.name(series, trends.series),
                "; ".join((phrases.step_title(series, step), *phrases.step_facts(step))),
            )
            for series, step in found
        )
    )


def _code(trends: Trends, fail_on_step: bool) -> ExitCode:
    worse = trends.recent_worse
    if not fail_on_step or not worse:
        return ExitCode.OK
    say(f"edgesim: recent steps for the worse: {', '.join(series.name for series in worse)}")
    return ExitCode.FAIL
