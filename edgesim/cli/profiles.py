"""``edgesim profiles``."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli import _console
from edgesim.cli._app import new_app
from edgesim.cli._console import print_json, show, show_path
from edgesim.cli._options import ContextOption, JsonOption, ProfileArgument
from edgesim.cli._tables import fact_list
from edgesim.engine.context import resolve
from edgesim.errors import ExitCode, UsageError
from edgesim.jobs import measure_machine
from edgesim.profiles import DeviceProfile, cores, doubts
from edgesim.profiles.accelerator import Accelerator
from edgesim.profiles.cpu import Cluster
from edgesim.profiles.device_profile import NAME_PATTERN
from edgesim.profiles.doubts import Doubt
from edgesim.profiles.extension import OWN, Dropped
from edgesim.profiles.memory import Memory
from edgesim.profiles.mode import Mode
from edgesim.profiles.surroundings import Power, Storage
from edgesim.progress import Stages
from edgesim.reports.formats.text_layout import Entries
from edgesim.units import format_bytes, format_hz, format_rate

_RUNTIMES = {"tensorrt": "TensorRT"}

app = new_app("List the boards that can be simulated, and work on profile files.")


@app.examples("edgesim profiles list", "edgesim profiles list --json", name="list")
def list_command(as_json: JsonOption = False) -> int:
    """List the profiles that come with edgesim."""
    known = [profiles.load(name) for name in profiles.names()]
    if as_json:
        print_json(
            [
                {
                    "name": profile.name,
                    "title": profile.title,
                    "architecture": profile.architecture,
                    "modes": list(profile.modes),
                }
                for profile in known
            ]
        )
        return ExitCode.OK
    modes = {profile.name: f"; modes {', '.join(profile.modes)}" if profile.modes else "" for profile in known}
    show(
        fact_list((profile.name, f"{profile.title}, {profile.architecture}{modes[profile.name]}") for profile in known)
    )
    return ExitCode.OK


@app.examples("edgesim profiles show jetson-nano", "edgesim profiles show jetson-nano:5w --json", name="show")
def show_command(profile: ProfileArgument, as_json: JsonOption = False) -> int:
    """Describe one profile, in the named power mode.

    If the profile extends another one, each fact has its origin: "yours", or "from" the profile that states the fact.
    """
    loaded = profiles.load(profile)
    if as_json:
        print_json(
            {
                **loaded.model_dump(mode="json"),
                "accelerator": loaded.accelerator,
                "sha256": loaded.sha256,
                "origins": dict(loaded.origins),
                "dropped": [asdict(entry) for entry in loaded.dropped],
                "doubts": [asdict(doubt) for doubt in _doubts(loaded.file)],
            }
        )
        return ExitCode.OK
    show(_data_sheet(loaded))
    return ExitCode.OK


def _data_sheet(profile: DeviceProfile) -> Entries:
    memory = profile.memory
    rows: list[tuple[str, str]] = []

    def add(label: str, text: str, *facts: str) -> None:
        origin = _origin(profile, facts)
        rows.append((label, f"{text} ({origin})" if origin else text))

    add(profile.reference, profile.title, "title")
    add("SoC", f"{profile.soc}, {profile.architecture}", "soc", "architecture")
    if profile.device_tree:
        add("calls itself", ", or ".join(profile.device_tree), "device_tree")
    if profile.cpu.brand is not None:
        add("calls itself", f"{profile.cpu.brand}, in the processor's name", "cpu.brand")
    for label, text, facts in _cluster(profile.cpu):
        add(label or "CPU", text, *facts)
    for other in profile.cpu.others:
        for label, text, _ in _cluster(other):
            add(label or "beside it", text, "cpu.others")
    add("memory", _memory(memory), "memory")
    for storage in profile.storage:
        add("storage", _storage(storage), "storage")
    if profile.system is not None:
        system = profile.system
        details = [f"glibc {system.glibc}"] if system.glibc else []
        details += [f"kernel {system.kernel}"] if system.kernel else []
        details += [f"Python {system.python}"] if system.python else []
        details += [f"ONNX Runtime {system.runtime}"] if system.runtime else []
        details += [f"ONNX Runtime {system.vendor_runtime} from the vendor"] if system.vendor_runtime else []
        add("system", ", ".join([system.name, *details]), "system")
    for accelerator in profile.accelerators:
        for label, text in _accelerator(accelerator):
            add(label or accelerator.name, text, "accelerators")
    if profile.power is not None:
        add("power", _power(profile.power), "power")
    for name, mode in profile.modes.items():
        add(f"mode {name}", _mode(profile, name, mode), f"modes.{name}")
    if profile.emulation is not None:
        add("emulated as", f"QEMU's {profile.emulation.qemu_cpu}", "emulation.qemu_cpu")
        for wrong in profile.emulation.wrong:
            add("  differs in", wrong, "emulation.wrong")
    own = f"{profile.image.dockerfile}, the serving image of every board" if profile.image.dockerfile else ""
    add("image", profile.image.reference or own, "image")
    for source in profile.sources:
        sure = f" [{source.confidence}]" if source.confidence else ""
        add("source", f"{', '.join(source.facts)}: {source.source}{sure}")
    for entry in profile.dropped:
        add("without", _not_inherited(entry))
    for doubt in _doubts(profile.file):
        add("doubt", str(doubt))
    return fact_list(rows)


def _doubts(own: Path | None) -> tuple[Doubt, ...]:
    """Return the doubts about a user's own profile; a profile that comes with edgesim has none."""
    return doubts.of(profiles.read(own), profiles.shipped()) if own is not None else ()


def _not_inherited(entry: Dropped) -> str:
    return f"{entry.fact} of {entry.origin} is not inherited: goes with {entry.because}, which this profile overrides"


def _origin(profile: DeviceProfile, sections: Sequence[str]) -> str:
    """Return who states the facts of a row: ``yours``, ``from jetson-nano``, or both with the keys of your own."""
    origins = {
        fact.removeprefix(f"{section}.") if fact != section else fact.rpartition(".")[2]: origin
        for fact, origin in profile.origins.items()
        for section in sections
        if f"{fact}.".startswith(f"{section}.")
    }
    names = dict.fromkeys(origins.values())
    words = []
    for name in names:
        keys = f": {', '.join(key for key, origin in origins.items() if origin == name)}" if len(names) > 1 else ""
        words.append(f"{name if name == OWN else f'from {name}'}{keys}")
    return "; ".join(words)


def _cluster(cluster: Cluster) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the label, the text and the facts of each row about a cluster."""
    caches, bandwidth = cluster.caches, cluster.bandwidth
    core = f"{cluster.core} at {format_hz(cluster.clock_hz)}"
    if cores.same(cluster.core, cores.HOST):
        core = "the host's own core, at its clock"
    yield "", f"{cluster.cores} x {core}", ("cpu.core", "cpu.cores", "cpu.clock_hz")
    words = [
        f"{name} {format_bytes(size)}"
        for name, size in (("L1 instructions", caches.l1i_bytes), ("L1 data", caches.l1d_bytes))
        if size
    ]
    if caches.l2_bytes:
        shared = f" for {caches.l2_cores} cores" if caches.l2_cores and caches.l2_cores > 1 else ""
        words.append(f"L2 {format_bytes(caches.l2_bytes)}{shared}")
    words += [f"L3 {format_bytes(caches.l3_bytes)}"] if caches.l3_bytes else []
    if words:
        yield "  caches", ", ".join(words), ("cpu.caches",)
    if cluster.fp32_flops_per_cycle:
        peak = cluster.cores * cluster.clock_hz * cluster.fp32_flops_per_cycle
        yield (
            "  peak",
            f"{peak / 1e9:.1f} GFLOP/s in fp32 ({cluster.fp32_flops_per_cycle} per cycle and core)",
            ("cpu.fp32_flops_per_cycle",),
        )
    rates = [
        f"{verb} {rate / 1e9:.1f} GB/s"
        for verb, rate in (
            ("copies", bandwidth.copy_bytes_per_s),
            ("fills", bandwidth.fill_bytes_per_s),
            ("reads", bandwidth.read_bytes_per_s),
        )
        if rate
    ]
    if rates:
        yield "  one core", ", ".join(rates), ("cpu.bandwidth",)
    if cluster.features:
        yield "  features", " ".join(cluster.features), ("cpu.features",)


def _accelerator(accelerator: Accelerator) -> Iterator[tuple[str, str]]:
    """Yield the label and the text of each row about an accelerator."""
    words = [accelerator.title]
    words += [f"compute capability {accelerator.compute_capability}"] if accelerator.compute_capability else []
    yield "", ", ".join(words)
    units, clock_hz = accelerator.units, accelerator.clock_hz
    words = [f"{units} {'multiprocessor' if accelerator.kind == 'gpu' else 'unit'}{'s' * (units > 1)}"] if units else []
    words += [f"at {format_hz(clock_hz)}"] if clock_hz else []
    if words:
        yield "  units", " ".join(words)
    peaks = [(precision, accelerator.peak_flops_per_s(precision)) for precision in accelerator.precisions]
    words = [f"{peak / 1e12:.3g} in {precision}" for precision, peak in peaks if peak]
    if words:
        yield "  peak", f"{', '.join(words)} (TFLOP/s)"
    if accelerator.runtime is not None:
        version = accelerator.runtime.version or "of unknown version"
        yield "  runtime", f"{_RUNTIMES.get(accelerator.runtime.name, accelerator.runtime.name)} {version}"


def _memory(memory: Memory) -> str:
    words = [f"{format_bytes(memory.visible_bytes)} visible to Linux (marketed as {memory.marketed_bytes / 1e9:g} GB)"]
    if memory.usable_bytes:
        words.append(f"{format_bytes(memory.usable_bytes)} left by the system")
    if memory.kind:
        words.append(memory.kind)
    if memory.bandwidth_bytes_per_s:
        words.append(f"{memory.bandwidth_bytes_per_s / 1e9:g} GB/s by specification")
    return "; ".join(words)


def _storage(storage: Storage) -> str:
    rates = [
        f"{verb} {format_rate(rate)}"
        for verb, rate in (("reads", storage.read_bytes_per_s), ("writes", storage.write_bytes_per_s))
        if rate
    ]
    return "; ".join([storage.kind, *rates])


def _power(power: Power) -> str:
    words = [f"{power.idle_w:g} W idle"] if power.idle_w else []
    words += [f"{power.load_w:g} W with all cores busy"] if power.load_w else []
    words += [f"limited to {', '.join(f'{budget:g}' for budget in power.budgets_w)} W"] if power.budgets_w else []
    return ", ".join(words)


def _mode(profile: DeviceProfile, name: str, mode: Mode) -> str:
    marks = ["default"] if name == profile.default_mode else []
    marks += ["shown"] if name == profile.mode else []
    kind = f" {mode.core}" if mode.core else ""
    words = [f"{mode.cores}{kind} cores at {format_hz(mode.clock_hz)}"]
    for key, settings in mode.accelerators.items():
        units = f" {settings.units} units" if settings.units else ""
        clock = f" at {format_hz(settings.clock_hz)}" if settings.clock_hz else ""
        words.append(f"{key}{units}{clock}")
    if mode.memory_bandwidth_bytes_per_s:
        words.append(f"memory {mode.memory_bandwidth_bytes_per_s / 1e9:g} GB/s")
    return f"{', '.join(words)}{_marked(marks)}"


def _marked(marks: list[str]) -> str:
    return f" ({', '.join(marks)})" if marks else ""


@app.examples(
    "edgesim profiles measure -o board.yaml",
    "edgesim profiles measure --context board1 --name our-box -o board.yaml",
    name="measure",
)
def measure_command(
    context: ContextOption = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The profile's name [default: the machine's own].")
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="Measure the disk of this directory [default: models/, or here]."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the profile here [default: stdout].")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Measure a machine, such as the board itself, and write its profile.

    The command reads and measures cores, clocks, features, caches, memory, bandwidth and disk on this machine, or with
    --context in a container on another machine. A comment names the facts that cannot be read. The exit code is 3 if
    the profile is therefore not valid.
    """
    if output is not None and not output.parent.is_dir():
        raise UsageError(f"{output}: no such directory", fix=f"mkdir -p {output.parent}")
    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(f"--name {name}: a profile's name is of a-z, 0-9, dot, hyphen and underscore")
    scratch = models or (Path("models") if Path("models").is_dir() else Path())
    if not scratch.is_dir():
        raise UsageError(f"--models {scratch}: no such directory")
    stages = Stages(_console.listener())
    measured = measure_machine.measure(resolve(context) if context else None, stages, name=name, scratch=scratch)
    if output is not None:
        try:
            output.write_text(measured.text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{output}: cannot write: {error.strerror}") from error
    if as_json:
        print_json({**measured.document, "not_read": dict(measured.not_read), "problem": measured.problem})
    elif output is None:
        print(measured.text, end="")
    else:
        show_path("profile", output)
    if measured.problem is not None:
        _console.say(f"edgesim: not a valid profile yet: {measured.problem}", style="red")
        return ExitCode.HOST
    return ExitCode.OK


@app.examples("edgesim profiles schema > profile.schema.json", name="schema")
def schema_command() -> int:
    """Print the JSON Schema of a profile file, for editors."""
    print_json(profiles.json_schema())
    return ExitCode.OK


@app.examples("edgesim profiles validate my-board.yaml", name="validate")
def validate_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A profile's YAML file.")],
) -> int:
    """Check a profile file.

    Facts that exceed the known limits of a part of the named kind are listed as doubts. The exit code is 2 if the
    file is not a valid profile.
    """
    profile = profiles.read(file)
    print(f"{file}: a valid profile of {profile.title}")
    for entry in profile.dropped:
        print(f"  {_not_inherited(entry)}")
    for key in ("name", "title"):
        if (origin := profile.origins.get(key, OWN)) != OWN:
            print(f"  {key} is {origin}'s: give this board one of its own, so that results and reports tell them apart")
    for doubt in _doubts(profile.file):
        print(f"  doubt: {doubt}")
    return ExitCode.OK
