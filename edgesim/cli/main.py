"""The command line: the only place that prints and exits."""

import contextlib
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

from edgesim import __version__
from edgesim import profiles as profile
from edgesim.boards.serving import board
from edgesim.cli import (
    _console,
    _load_options,
    _serving,
    _verdict,
    baseline,
    gate,
    models,
    noise,
    pack,
    predict,
    profiles,
    report,
    stack,
    volumes,
)
from edgesim.cli import _options as options
from edgesim.cli._console import err, out, print_json
from edgesim.cli._options import (
    BaseOption,
    ContextOption,
    EngineOption,
    EnvironmentOption,
    ImageHealthOption,
    ImageModelsOption,
    ImageOption,
    ImagePortOption,
    JsonOption,
    JunitOption,
    MarkdownOption,
    ModelArgument,
    ModelsOption,
    MountOption,
    ProfileArgument,
    ReadyOption,
    ResultsOption,
    VolumeOption,
)
from edgesim.cli._outputs import require_writable
from edgesim.engine import docker_engine
from edgesim.engine.context import resolve
from edgesim.errors import EdgesimError, ExitCode, HostError, UsageError
from edgesim.host import signals
from edgesim.images import serving_image as device_image
from edgesim.jobs import doctor
from edgesim.jobs.check import CheckOptions, check
from edgesim.jobs.run import run as run_job
from edgesim.options import READY_TIMEOUT_S, BoardOptions, InputOptions, RunOptions, TrafficOptions
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages
from edgesim.reports.formats import terminal as text
from edgesim.results.run_result import RunResult

app = typer.Typer(
    name="edgesim",
    help="What a model will do on an edge device, told at the desk and in CI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # what is in brackets is shown, and not taken for a style
)
app.add_typer(profiles.app, name="profiles")
app.add_typer(models.app, name="models")
app.command("predict")(predict.predict_command)
app.command("calibrate")(predict.calibrate_command)
app.command("compare")(report.compare_command)
app.command("gate")(gate.gate_command)
app.command("report")(report.report_command)
app.command("noise")(noise.noise_command)
app.add_typer(baseline.app, name="baseline")
app.add_typer(volumes.app, name="volumes")
app.command("pack")(pack.pack_command)
app.command("up")(stack.up_command)
app.command("down")(stack.down_command)
app.add_typer(stack.app, name="stack")


def main() -> None:
    """Entry point: run the command line and exit with the code that stands for how it went."""
    signals.as_keyboard_interrupt()
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    with _console.lasting_output() as lost:
        code = _obey(arguments)
        if (why := lost()) is None:
            return code
    _console.show_error(HostError(f"standard output cannot be written: {why}", fix="send it where there is space"))
    return code or ExitCode.HOST


def _obey(arguments: list[str]) -> int:
    try:
        code = app(arguments, standalone_mode=False)
        if code == ExitCode.INTERRUPTED:  # how typer hands on a KeyboardInterrupt
            err.print("edgesim: interrupted; everything that was started is gone")
        return code if isinstance(code, int) else ExitCode.OK
    except TyperException as error:
        if error.format_message():  # none where the help was the answer
            _console.show_error(UsageError(error.format_message(), fix="edgesim --help, edgesim COMMAND --help"))
        return ExitCode.USAGE
    except EdgesimError as error:
        _console.show_error(error)
        return error.exit_code
    except Exception:
        traceback.print_exc()
        err.print(f"edgesim {__version__}: this is a fault of edgesim's own; please report it with the lines above")
        return ExitCode.INTERNAL


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"edgesim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What a model will do on an edge device, told at the desk and in CI."""


@app.command()
def run(
    p: options.RunArgument,
    m: options.OptionalModelArgument = None,
    models: ModelsOption = None,
    execution: Annotated[
        str | None,
        typer.Option(
            help="emulated or scaled alone [default: both; native on a host of the board's own architecture, host"
            " without an engine]."
        ),
    ] = None,
    engine: EngineOption = "docker",
    context: ContextOption = None,
    scenario: _load_options.ScenarioOption = None,
    qps: _load_options.QpsOption = None,
    clients: _load_options.ClientsOption = None,
    samples_per_query: _load_options.SamplesOption = None,
    sweep: _load_options.SweepOption = None,
    find_peak: _load_options.FindPeakOption = False,
    p99_under: _load_options.UnderOption = None,
    requests: _load_options.RequestsOption = None,
    duration: _load_options.DurationOption = None,
    until: _load_options.UntilOption = None,
    warmup: _load_options.WarmupOption = None,
    repeat: _load_options.RepeatOption = 1,
    seed: _load_options.SeedOption = 0,
    inputs: _load_options.InputOption = None,
    shape: _load_options.ShapeOption = None,
    value_range: _load_options.RangeOption = None,
    client_cores: _load_options.CoresOption = None,
    base: BaseOption = None,
    image: ImageOption = None,
    image_port: ImagePortOption = None,
    image_health: ImageHealthOption = None,
    image_models: ImageModelsOption = None,
    env: EnvironmentOption = None,
    mount: MountOption = None,
    volume: VolumeOption = None,
    results: ResultsOption = None,
    ready_timeout: ReadyOption = READY_TIMEOUT_S,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result here, as JSON.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Benchmark a model on a simulated board, or the services of a stack that share one."""
    if output is not None:
        require_writable(output)
    run_options = RunOptions(
        traffic=TrafficOptions(
            scenario=_load_options.scenario(scenario),
            qps=qps,
            clients=clients,
            samples_per_query=samples_per_query,
            sweep=tuple(_load_options.rates(sweep)),
            peak=_load_options.peak(find_peak, p99_under),
            requests=requests,
            duration_s=duration,
            until=_load_options.precision(until),
            warmup=warmup,
            client_cores=_load_options.cores(client_cores),
        ),
        inputs=InputOptions(
            seed=seed,
            input=inputs,
            shapes=_load_options.shapes(shape or []),
            ranges=_load_options.ranges(value_range or []),
        ),
        board=BoardOptions(
            execution=options.execution(execution),
            engine=options.engine(engine),
            context=context,
            base_image=base,
            mount=options.mount(mount),
            volume=volume,
            results=results,
            ready_timeout_s=ready_timeout,
        ),
        models=models,
        repeat=repeat,
        output=output,
    )
    if m is None and stack.is_stack(p):
        return stack.run(Path(p), run_options, as_json=as_json)
    if m is None:
        raise UsageError("Missing argument 'M'.", fix="edgesim models list; a stack is a file with `services`")
    try:
        result = run_job(
            _board(p, image, image_port, image_health, image_models, env),
            m,
            run_options,
            listener=_console.listener(),
        )
    except EdgesimError as error:
        # What was measured before it went wrong is shown, too.
        if isinstance(error.result, RunResult):
            _show(error.result, output, as_json)
        raise
    _show(result, output, as_json)
    return ExitCode.OK if result.validity.valid else ExitCode.INVALID


def _show(result: RunResult, output: Path | None, as_json: bool) -> None:
    if as_json:
        print(result.as_json(), end="")
        return
    out.print(text.render_result(result))
    if output is not None:
        out.print(f"\nresult: {output}")


@app.command("check")
def check_command(
    p: ProfileArgument,
    m: ModelArgument,
    models: ModelsOption = None,
    engine: EngineOption = "docker",
    context: ContextOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE|DIR", help="Real inputs, and `labels` for the accuracy.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="An .onnx whose answers on this host are right.")
    ] = None,
    tolerance: Annotated[
        str | None, typer.Option(metavar="REL,ABS", help="Of the answers [default: by type, 1e-3,1e-4 for FP32].")
    ] = None,
    most_bytes: Annotated[
        str | None, typer.Option("--max-artifact", metavar="SIZE", help="What the model's files may take: 50MiB.")
    ] = None,
    outside: Annotated[
        bool, typer.Option("--outside-container", help="It is to run on the vendor's system: check its glibc.")
    ] = False,
    shape: _load_options.ShapeOption = None,
    base: BaseOption = None,
    mount: MountOption = None,
    volume: VolumeOption = None,
    ready_timeout: ReadyOption = READY_TIMEOUT_S,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
    as_json: JsonOption = False,
) -> int:
    """What to know before a release: a verdict. Exit code 1 when an item fails, 6 when one is inconclusive."""
    for path, option in ((junit, "--junit"), (markdown, "--markdown")):
        if path is not None:
            require_writable(path, option)
    checks = CheckOptions(
        reference=reference,
        tolerance=_load_options.tolerance(tolerance),
        outside_container=outside,
        max_artifact_bytes=_load_options.size(most_bytes, "--max-artifact"),
    )
    check_options = RunOptions(
        inputs=InputOptions(input=data, shapes=_load_options.shapes(shape or [])),
        board=BoardOptions(
            engine=options.engine(engine),
            context=context,
            base_image=base,
            mount=options.mount(mount),
            volume=volume,
            ready_timeout_s=ready_timeout,
        ),
        models=models,
    )
    found = check(p, m, checks, check_options, listener=_console.listener())
    return _verdict.deliver(found, junit=junit, markdown=markdown, as_json=as_json, command="check")


@app.command()
def serve(
    p: ProfileArgument,
    models: Annotated[Path, typer.Option("--models", metavar="DIR", help="Model repository.")] = Path("models"),
    execution: Annotated[
        str | None, typer.Option(help="scaled: answer in the board's predicted time [default: emulated or native].")
    ] = None,
    engine: EngineOption = "docker",
    context: ContextOption = None,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Of 127.0.0.1; 0 is any free one.")] = 0,
    watch: Annotated[bool, typer.Option("--watch", help="Take up what changes in the repository, by itself.")] = False,
    base: BaseOption = None,
    image: ImageOption = None,
    image_port: ImagePortOption = None,
    image_health: ImageHealthOption = None,
    image_models: ImageModelsOption = None,
    env: EnvironmentOption = None,
    mount: MountOption = None,
    volume: VolumeOption = None,
    results: ResultsOption = None,
    ready_timeout: ReadyOption = READY_TIMEOUT_S,
    as_json: JsonOption = False,
) -> int:
    """The simulated board as an endpoint, until Ctrl-C."""
    with (
        board(
            _board(p, image, image_port, image_health, image_models, env),
            models=models,
            engine=options.engine(engine),
            context=context,
            execution=options.execution(execution),
            watch=watch,
            port=port,
            base_image=base,
            mount=options.mount(mount),
            volume=volume,
            results=results,
            ready_timeout_s=ready_timeout,
            listener=_console.listener(),
        ) as started,
        contextlib.suppress(KeyboardInterrupt),  # whoever has read the address may end it at once
    ):
        if as_json:
            print(_serving.as_json(started), flush=True)
        else:
            print(started.url, flush=True)
            names = ", ".join(served.name for served in started.models)
            err.print(f"serving {names} on {p} ({started.execution}); Ctrl-C ends it. Try:")
            for line in _serving.scale_lines(started):
                err.print(line)
            err.print(_serving.curl_line(started.url, started.models[0]))
        with _serving.counted(started):
            _serving.watch(started)
    return ExitCode.OK


def _board(
    reference: str,
    image: str | None,
    image_port: int | None,
    image_health: str | None,
    image_models: str | None,
    environment: list[str] | None,
) -> DeviceProfile:
    """The board that the command line names, with the image that it gives, if any."""
    for option, value in (("port", image_port), ("health", image_health), ("models", image_models)):
        if value is not None and image is None and profile.load(reference).image.reference is None:
            raise UsageError(f"--image-{option}: is for another image than edgesim's own", fix="give --image, too")
    variables = {}
    for word in environment or []:
        name, separator, value = word.partition("=")
        if not separator or not name:
            raise UsageError(f"--env {word}: not NAME=VALUE")
        variables[name] = value
    return profile.load(reference).served_by(
        reference=image,
        port=image_port,
        health_path=image_health,
        mount_point=image_models,
        environment=variables or None,
    )


@app.command()
def build(
    p: ProfileArgument,
    base: BaseOption = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build even if it is there.")] = False,
    context: ContextOption = None,
    as_json: JsonOption = False,
) -> int:
    """Build the serving image for a board, unless one of the same content is there."""
    built = device_image.build(
        docker_engine.Engine(resolve(context)),
        profile.load(p),
        Stages(_console.listener()),
        base_image=base,
        rebuild=rebuild,
    )
    if as_json:
        print_json({"reference": built.reference, "id": built.id, "base": built.base, "cached": built.cached})
    else:
        print(f"{built.reference}: {'unchanged, nothing to build' if built.cached else 'built'} (on {built.base})")
    return ExitCode.OK


@app.command("doctor")
def doctor_command(
    probe: Annotated[
        str | None, typer.Option("--probe", metavar="P", help="Try whether this board's limits hold on this host.")
    ] = None,
    context: ContextOption = None,
    as_json: JsonOption = False,
) -> int:
    """What this host can do, and the exact fix for what it cannot."""
    if probe is not None:
        return _probe(probe, context, as_json)
    checks = doctor.diagnose(resolve(context))
    if as_json:
        print_json([{"name": c.name, "status": c.status, "finding": c.finding, "fix": c.fix} for c in checks])
    else:
        styles = {"ok": "green", "problem": "red"}
        for check in checks:
            # Not a table: what is to be copied must not be folded.
            status = (f"{check.status:<9}", styles[check.status])
            out.print(Text.assemble(f"{check.name:<11}", status, check.finding), soft_wrap=True)
            if check.fix:
                out.print(f"{'':<20}fix: {check.fix}", soft_wrap=True)
    return ExitCode.HOST if any(check.status == "problem" for check in checks) else ExitCode.OK


def _probe(reference: str, context: str | None, as_json: bool) -> int:
    findings = doctor.probe(profile.load(reference), resolve(context), Stages(_console.listener()))
    if as_json:
        print_json([{"name": f.name, "holds": f.holds, "finding": f.words} for f in findings])
    else:
        words = {True: ("holds", "green"), False: ("DOES NOT HOLD", "red"), None: ("not tried", "yellow")}
        table = Table.grid(padding=(0, 2))
        for finding in findings:
            table.add_row(finding.name, Text(*words[finding.holds]), finding.words)
        out.print(table)
    return ExitCode.HOST if any(finding.holds is False for finding in findings) else ExitCode.OK


@app.command()
def gc(context: ContextOption = None, as_json: JsonOption = False) -> int:
    """Remove what a killed run left behind."""
    engine = docker_engine.Engine(resolve(context))
    removed = [*stack.collect_garbage(engine), *engine.collect_garbage()]
    if as_json:
        print_json({"removed": removed})
    else:
        print("\n".join(f"removed {name}" for name in removed) or "nothing was left behind")
    return ExitCode.OK
