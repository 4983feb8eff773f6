"""The flags of a run's options, and the `RunOptions` that they make.

Each class is a part of the flags: an attribute is called what the field of `edgesim.options` is called. A new option
is a field there and an attribute here; every command that takes the class then has the flag.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from edgesim.cli import _values
from edgesim.cli._app import BOARD, INPUTS, TRAFFIC
from edgesim.cli._flag_groups import Function, takes
from edgesim.cli._options import (
    BaseImageOption,
    ContextOption,
    EngineOption,
    GpusOption,
    HostLibraryOption,
    ModelsOption,
    ReadyTimeoutOption,
    RuntimeOption,
    TargetOption,
)
from edgesim.options import READY_TIMEOUT_S, REQUEST_DEFAULTS, MountMethod, ProtocolName, RunOptions, ScenarioName

_EMULATED, _SCALED, _NATIVE = (REQUEST_DEFAULTS[name] for name in ("emulated", "scaled", "native"))
_REQUESTS = f"emulated {_EMULATED.requests}, scaled {_SCALED.requests}, else {_NATIVE.requests}"
_DURATION = f"emulated {_EMULATED.duration_s:g}, scaled {_SCALED.duration_s:g}, else {_NATIVE.duration_s:g}"
_WARM_UP = f"emulated {_EMULATED.warm_up}, scaled {_SCALED.warm_up}, else until latencies are steady"


class TrafficFlags:
    """The requests of a run: which, how many, and how fast."""

    scenario: Annotated[
        ScenarioName | None,
        typer.Option(
            "--scenario",
            metavar="SCENARIO",
            help=f"Send requests as MLPerf LoadGen does in this scenario: {', '.join(get_args(ScenarioName))}"
            " [default: single-stream].",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    qps: Annotated[
        float | None,
        typer.Option(
            "--qps",
            metavar="RATE",
            help="Send this many requests per second, in the server scenario.",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    clients: Annotated[
        int | None,
        typer.Option(
            "--clients",
            metavar="N",
            min=1,
            max=512,
            help="Run this many closed loops in parallel; in the offline scenario, keep this many requests in flight.",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    samples_per_query: Annotated[
        int | None,
        typer.Option(
            "--samples-per-query",
            metavar="N",
            min=1,
            max=512,
            help="Send this many requests in each query of the multi-stream scenario [default: 8].",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    sweep: Annotated[
        str | None,
        typer.Option(
            "--sweep",
            metavar="RATE,RATE,…",
            help="Run the server scenario at each of these rates, one after the other.",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    find_peak: Annotated[
        bool,
        typer.Option(
            "--find-peak",
            help="Find the highest rate with a p99 latency below --p99-under.",
            rich_help_panel=TRAFFIC,
        ),
    ] = False
    p99_under: Annotated[
        str | None,
        typer.Option(
            "--p99-under",
            metavar="TIME",
            help="Keep the p99 latency below this time in a peak search, such as 50ms.",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    requests: Annotated[
        int | None,
        typer.Option(
            "--requests",
            metavar="N",
            min=1,
            help=f"Measure at least this many requests [default: {_REQUESTS}; in the server scenario as many as p99"
            " needs, unless emulated; none if --duration is given].",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    duration_s: Annotated[
        float | None,
        typer.Option(
            "--duration",
            metavar="S",
            min=0,
            help=f"Measure for at least this many seconds [default: {_DURATION}; none if --requests is given].",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="pN:X%",
            help="Measure until the confidence interval of this percentile is within X %, such as p99:5%.",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    warmup: Annotated[
        int | None,
        typer.Option(
            "--warmup",
            metavar="N",
            min=0,
            help=f"Send this many requests before the measured ones [default: {_WARM_UP}].",
            rich_help_panel=TRAFFIC,
        ),
    ] = None
    repeat: Annotated[
        int,
        typer.Option(
            "--repeat",
            metavar="N",
            min=1,
            help="Measure in this many fresh containers, one after the other.",
            rich_help_panel=TRAFFIC,
        ),
    ] = 1
    client_cores: Annotated[
        str | None,
        typer.Option(
            "--client-cores",
            metavar="N,N,…",
            help="Reserve these cores of this host for the load generator; the board gets the other cores.",
            rich_help_panel=TRAFFIC,
        ),
    ] = None


class InputFlags:
    """The model repository, and the inputs that requests carry."""

    models: ModelsOption = None
    input: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE|DIR",
            help="Send these real inputs: an .npz file, or a directory of such files.",
            rich_help_panel=INPUTS,
        ),
    ] = None
    inputs_file: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            metavar="FILE",
            help="Read the inputs' values from this YAML file [default: inputs.yaml beside the model].",
            rich_help_panel=INPUTS,
        ),
    ] = None
    shapes: Annotated[
        list[str] | None,
        typer.Option(
            "--shape",
            metavar="NAME=N,N,…",
            help="Use these sizes for an input whose sizes the model leaves open; may be repeated.",
            rich_help_panel=INPUTS,
        ),
    ] = None
    dims: Annotated[
        list[str] | None,
        typer.Option(
            "--dim",
            metavar="NAME=N|auto",
            help="Use this size for each size of this name in the model, such as sequence=128; may be repeated. `auto`"
            " guesses the open sizes, and reports the guesses.",
            rich_help_panel=INPUTS,
        ),
    ] = None
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="NAME=LOW:HIGH",
            help="Draw an input's random values from this range; may be repeated.",
            rich_help_panel=INPUTS,
        ),
    ] = None
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="OUTPUT=INPUT",
            help="Feed this output into this input of the next request, such as the state of a recurrent model; may be"
            " repeated. --state auto feeds the outputs that look like states.",
            rich_help_panel=INPUTS,
        ),
    ] = None
    generate: Annotated[
        str | None,
        typer.Option(
            "--generate",
            metavar="prompt=N,tokens=N",
            help="Generate tokens after a prompt, with a decoder that has a cache, and measure the time to the"
            " first token"
            " and the tokens per second.",
            rich_help_panel=INPUTS,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", help="Seed of random inputs and of arrivals.", rich_help_panel=INPUTS),
    ] = 0


class AnswerFlags:
    """How the board's answers are compared."""

    match: Annotated[
        str | None,
        typer.Option(
            "--match",
            metavar="detections[:KEY=VALUE,…]",
            help="Match a detector's rows by class and overlap before comparing them. Keys: boxes, scores, classes,"
            " or rows and columns, name outputs; iou and threshold are bounds.",
            rich_help_panel=INPUTS,
        ),
    ] = None


class BoardFlags:
    """How a board is started."""

    target: TargetOption = None
    engine: EngineOption = "docker"
    context: ContextOption = None
    base_image: BaseImageOption = None
    runtime: RuntimeOption = None
    gpus: GpusOption = None
    mount: Annotated[
        MountMethod | None,
        typer.Option(
            "--mount",
            metavar="METHOD",
            help=f"Bring models into the container by this mount method: {', '.join(get_args(MountMethod))}"
            " [default: bind; volume if the engine cannot mount files of this host].",
            rich_help_panel=BOARD,
        ),
    ] = None
    volume: Annotated[
        str | None,
        typer.Option(
            "--volume",
            metavar="NAME",
            help="Use this volume, and fill it if it is new [default: a name made from its contents].",
            rich_help_panel=BOARD,
        ),
    ] = None
    protocol: Annotated[
        ProtocolName,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="Send requests over http or grpc; with grpc, edgesim also asks the server of another image"
            " (--image) over"
            " gRPC whether it is ready.",
            rich_help_panel=BOARD,
        ),
    ] = "http"
    host_libraries: HostLibraryOption = None
    ready_timeout_s: ReadyTimeoutOption = READY_TIMEOUT_S


# What the words of a flag become.
_VALUES: Mapping[str, Callable[[Any], object]] = {
    "sweep": _values.rates,
    "until": _values.precision,
    "client_cores": _values.cores,
    "shapes": _values.shapes,
    "dims": _values.dims,
    "ranges": _values.ranges,
    "match": _values.match,
    "state": _values.state,
    "generate": _values.generate,
    "host_libraries": tuple,
}

# Fields whose flag may be repeated: their values are made of a list of words.
_REPEATED = frozenset(("shapes", "dims", "ranges", "state", "host_libraries"))


def is_compound(field: str) -> bool:
    """Return whether the word of a flag is more than a number or a name: it may have commas of its own."""
    return field in _VALUES


def value_of(field: str, word: str) -> object:
    """Return the value of a field that a single word of its flag makes.

    Raises:
        UsageError: the word is wrong.
    """
    return _VALUES[field]([word] if field in _REPEATED else word)


# Fields that several flags make, or another than that of their name.
_PARAMETERS: Mapping[str, tuple[str, ...]] = {"peak": ("find_peak", "p99_under"), "auto_dims": ("dims",)}


def parameters_of(field: str) -> tuple[str, ...]:
    """Return the parameters of a command that make a field of the options."""
    return _PARAMETERS.get(field, (field,))


def run_options(*, find_peak: bool = False, p99_under: str | None = None, **flags: Any) -> RunOptions:
    """Return the options that flags make; each flag is named by its attribute above.

    Raises:
        UsageError: a value is wrong.
    """
    values: dict[str, Any] = {
        name: _VALUES[name](words) if name in _VALUES and words is not None else words for name, words in flags.items()
    }
    if _values.AUTO in (flags.get("dims") or ()):
        values["auto_dims"] = True
    # A flag without a value leaves the field at its default.
    values = {name: value for name, value in values.items() if value is not None}
    return RunOptions.of(peak=_values.peak(find_peak, p99_under), **values)


def takes_run_options(*parts: type, without: Collection[str] = ()) -> Callable[[Function], Function]:
    """Give a command the flags of these classes; the command receives the options that they make as `options`."""
    return takes("options", run_options, *parts, without=without)
