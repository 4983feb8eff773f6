"""`edgesim profiles`: the boards that can be simulated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from edgesim import profiles
from edgesim.cli._console import out, print_json
from edgesim.cli._options import JsonOption, ProfileArgument
from edgesim.errors import ExitCode
from edgesim.profiles import DeviceProfile
from edgesim.profiles.device_profile import Cluster, Memory, Mode, Power, Storage
from edgesim.units import format_bytes, format_hz

app = typer.Typer(help="The boards that can be simulated.", no_args_is_help=True)


@app.command("list")
def list_(as_json: JsonOption = False) -> int:
    """The profiles that come with edgesim."""
    known = [profiles.load(name) for name in profiles.names()]
    if as_json:
        print_json(
            [
                {"name": board_profile.name, "title": board_profile.title, "modes": list(board_profile.modes)}
                for board_profile in known
            ]
        )
        return ExitCode.OK
    table = Table.grid(padding=(0, 2))
    for board_profile in known:
        table.add_row(board_profile.name, board_profile.title, f"modes: {', '.join(board_profile.modes) or 'none'}")
    out.print(table)
    return ExitCode.OK


@app.command("show")
def show(p: ProfileArgument, as_json: JsonOption = False) -> int:
    """One profile, in the power mode named."""
    board_profile = profiles.load(p)
    if as_json:
        print_json({**board_profile.model_dump(mode="json"), "sha256": board_profile.sha256})
        return ExitCode.OK
    out.print(_data_sheet(board_profile))
    return ExitCode.OK


def _data_sheet(board_profile: DeviceProfile) -> Table:
    memory = board_profile.memory
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row(board_profile.reference, board_profile.title)
    table.add_row("SoC", f"{board_profile.soc}, {board_profile.architecture}")
    for name, cluster in (("CPU", board_profile.cpu), *(("beside it", other) for other in board_profile.cpu.others)):
        for title, text in _cluster(cluster):
            table.add_row(title or name, text)
    table.add_row("memory", _memory(memory))
    for storage in board_profile.storage:
        table.add_row("storage", _storage(storage))
    if board_profile.system is not None:
        system = board_profile.system
        details = [f"glibc {system.glibc}"] if system.glibc else []
        details += [f"kernel {system.kernel}"] if system.kernel else []
        table.add_row("system", ", ".join([system.name, *details]))
    if board_profile.accelerator is not None:
        table.add_row("accelerator", f"{board_profile.accelerator} (there, and not simulated)")
    if board_profile.power is not None:
        table.add_row("power", _power(board_profile.power))
    for name, mode in board_profile.modes.items():
        table.add_row(f"mode {name}", _mode(board_profile, name, mode))
    if board_profile.emulation is not None:
        table.add_row("emulated as", f"QEMU's {board_profile.emulation.qemu_cpu}")
        for wrong in board_profile.emulation.wrong:
            table.add_row("  not quite", wrong)
    table.add_row("image", board_profile.image.reference or board_profile.image.dockerfile)
    for source in board_profile.sources:
        sure = f" [{source.confidence}]" if source.confidence else ""
        table.add_row("source", f"{', '.join(source.facts)}: {source.source}{sure}")
    return table


def _cluster(cluster: Cluster) -> Iterator[tuple[str, str]]:
    caches, bandwidth = cluster.caches, cluster.bandwidth
    yield "", f"{cluster.cores} x {cluster.core} at {format_hz(cluster.clock_hz)}"
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
        yield "  caches", ", ".join(words)
    if cluster.fp32_flops_per_cycle:
        peak = cluster.cores * cluster.clock_hz * cluster.fp32_flops_per_cycle
        yield "  peak", f"{peak / 1e9:.1f} GFLOP/s in fp32 ({cluster.fp32_flops_per_cycle} a cycle and core)"
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
        yield "  one core", ", ".join(rates)
    if cluster.features:
        yield "  features", " ".join(cluster.features)


def _memory(memory: Memory) -> str:
    words = [f"{format_bytes(memory.visible_bytes)} seen by Linux (marketed as {memory.marketed_bytes / 1e9:g} GB)"]
    if memory.usable_bytes:
        words.append(f"{format_bytes(memory.usable_bytes)} left beside the system")
    if memory.kind:
        words.append(memory.kind)
    if memory.bandwidth_bytes_per_s:
        words.append(f"{memory.bandwidth_bytes_per_s / 1e9:g} GB/s by specification")
    return "; ".join(words)


def _storage(storage: Storage) -> str:
    rates = [
        f"{verb} {rate / 1e6:.0f} MB/s"
        for verb, rate in (("reads", storage.read_bytes_per_s), ("writes", storage.write_bytes_per_s))
        if rate
    ]
    return "; ".join([storage.kind, *rates])


def _power(power: Power) -> str:
    words = [f"{power.idle_w:g} W idle"] if power.idle_w else []
    words += [f"{power.load_w:g} W with all cores busy"] if power.load_w else []
    words += [f"held to {', '.join(f'{budget:g}' for budget in power.budgets_w)} W"] if power.budgets_w else []
    return ", ".join(words)


def _mode(board_profile: DeviceProfile, name: str, mode: Mode) -> str:
    marks = ["default"] if name == board_profile.default_mode else []
    marks += ["shown"] if name == board_profile.mode else []
    kind = f" {mode.core}" if mode.core else ""
    return f"{mode.cores}{kind} cores at {format_hz(mode.clock_hz)}{_marked(marks)}"


def _marked(marks: list[str]) -> str:
    return f" ({', '.join(marks)})" if marks else ""


@app.command("schema")
def schema() -> int:
    """JSON Schema of a profile file, for editors that complete and check YAML by it."""
    print_json(profiles.json_schema())
    return ExitCode.OK


@app.command("validate")
def validate(file: Annotated[Path, typer.Argument(metavar="FILE", help="A profile's YAML file.")]) -> int:
    """Check a profile file; the exit code is 2 when it does not hold."""
    board_profile = profiles.read(file)
    print(f"{file}: a valid profile of {board_profile.title}")
    return ExitCode.OK
