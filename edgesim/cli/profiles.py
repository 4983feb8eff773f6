"""`edgesim profiles`: the boards that can be simulated."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from edgesim import profile
from edgesim.cli.options import JsonOption, ProfileArgument
from edgesim.cli.terminal import out, print_json
from edgesim.errors import ExitCode
from edgesim.profile import DeviceProfile
from edgesim.units import format_bytes, format_hz

app = typer.Typer(help="The boards that can be simulated.", no_args_is_help=True)


@app.command("list")
def list_(as_json: JsonOption = False) -> int:
    """The profiles that come with edgesim."""
    known = [profile.load(name) for name in profile.names()]
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
    board_profile = profile.load(p)
    if as_json:
        print_json({**board_profile.model_dump(mode="json"), "sha256": board_profile.sha256})
        return ExitCode.OK
    out.print(_data_sheet(board_profile))
    return ExitCode.OK


def _data_sheet(board_profile: DeviceProfile) -> Table:
    cpu, memory = board_profile.cpu, board_profile.memory
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row(board_profile.reference, board_profile.title)
    table.add_row("SoC", f"{board_profile.soc}, {board_profile.architecture}")
    table.add_row("CPU", f"{cpu.cores} x {cpu.core} at {format_hz(cpu.clock_hz)}")
    table.add_row("features", " ".join(cpu.features) or "not given")
    table.add_row(
        "memory", f"{format_bytes(memory.visible_bytes)} seen by Linux (marketed as {memory.marketed_bytes / 1e9:g} GB)"
    )
    for name, mode in board_profile.modes.items():
        marks = [
            word
            for word, applies in (
                ("default", name == board_profile.default_mode),
                ("shown", name == board_profile.mode),
            )
            if applies
        ]
        table.add_row(
            f"mode {name}",
            f"{mode.cores} cores at {format_hz(mode.clock_hz)}{' (' + ', '.join(marks) + ')' if marks else ''}",
        )
    if board_profile.emulation is not None:
        table.add_row("emulated as", f"QEMU's {board_profile.emulation.qemu_cpu}")
    table.add_row("image", board_profile.image.reference or board_profile.image.dockerfile)
    for source in board_profile.sources:
        table.add_row("source", f"{', '.join(source.facts)}: {source.source}")
    return table


@app.command("validate")
def validate(file: Annotated[Path, typer.Argument(metavar="FILE", help="A profile's YAML file.")]) -> int:
    """Check a profile file; the exit code is 2 when it does not hold."""
    board_profile = profile.read(file)
    print(f"{file}: a valid profile of {board_profile.title}")
    return ExitCode.OK
