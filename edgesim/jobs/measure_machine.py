"""Measure a machine, this one or that of an engine, and write its profile."""

import datetime
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesim import profiles
from edgesim.engine.context import Context
from edgesim.engine.docker_engine import Engine
from edgesim.engine.program import MACHINE, SCRATCH, run_on_machine
from edgesim.errors import DeviceError, ProfileError
from edgesim.host import machine_probe
from edgesim.host.scratch import scratch_directory
from edgesim.images import serving_image
from edgesim.measure.machine_profile import MachineProfile, machine_profile
from edgesim.progress import Stages

# Seconds for a card that writes 128 MiB at 1 MB/s, and for the memory of three clusters of cores.
_TIMEOUT_S = 300
# An image that is built for any architecture, and holds nothing of a board.
_IMAGE_OF = "x86-gateway"


def measure(context: Context | None, stages: Stages, *, name: str | None = None, scratch: Path) -> MachineProfile:
    """Return the profile of a machine, as a file and as it was validated.

    Args:
        context: the engine whose machine is measured; None means this machine, without an engine.
        name: of the profile; None means what the machine calls itself.
        scratch: a directory of this machine, on the disk to measure; of another machine it is the engine's disk.

    Raises:
        HostError: no engine answers, or the image cannot be built; DeviceError: the machine could not be measured.
    """
    survey = _survey_there(context, stages) if context is not None else _survey_here(scratch, stages)
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    measured = machine_profile(survey, name=name, date=date)
    with scratch_directory() as directory:
        file = Path(directory) / "profile.yaml"
        file.write_text(measured.text, encoding="utf-8")
        try:
            profiles.read(file)
        except ProfileError as error:
            return replace(measured, problem=error.problem.replace(f"{directory}/", ""))
    return measured


def _survey_here(scratch: Path, stages: Stages) -> Any:
    with stages.stage("measure", "measuring cores, memory and disk, for about 10 s"):
        try:
            done = subprocess.run(
                [sys.executable, "-P", machine_probe.__file__, "/", scratch],
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise DeviceError(f"measuring this machine did not end within {_TIMEOUT_S} s") from error
    return _parsed(done.stdout, done.stderr, "this machine")


def _survey_there(context: Context, stages: Stages) -> Any:
    engine = Engine(context)
    # Of the machine's own architecture: an emulator would answer in the machine's place.
    image = serving_image.build(engine, profiles.load(_IMAGE_OF), stages, architecture=engine.facts.architecture)
    with stages.stage("measure", f"measuring cores, memory and disk of {context}, for about 10 s"):
        program = Path(machine_probe.__file__).read_text(encoding="utf-8")
        printed = run_on_machine(engine, image.id, program, [MACHINE, SCRATCH], timeout_s=_TIMEOUT_S)
    return _parsed(printed, "", str(context))


def _parsed(printed: str, errors: str, machine: str) -> Any:
    try:
        return json.loads(printed)
    except json.JSONDecodeError as error:
        raise DeviceError(f"{machine} could not be measured", log=errors or printed) from error
