"""A cell of a sweep: one job on one model and one board, as a plain value that another process can run."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from edgesim import stated_facts
from edgesim.jobs.check import CheckOptions
from edgesim.options import CPU, RunOptions
from edgesim.predictions.calibration import Calibration
from edgesim.profiles import DeviceProfile
from edgesim.results.cell_result import Job
from edgesim.sweeps.file_tree import FileTree
from edgesim.sweeps.model_files import ModelFiles
from edgesim.version import __version__

# Options that say where files are on this machine: their contents determine the result, in `Cell.files`.
_PATHS = frozenset(("models", "output", "input", "inputs_file", "results"))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One job on one model and one board, with all that determines the result; a cell can be pickled.

    Attributes:
        profile: the board's profile in its power mode.
        profile_sha256: the digest of the facts that a run depends on (`DeviceProfile.sha256`).
        model: the model's files with their digests.
        label: the model's name in the sweep, without its variant.
        precision: the variant of the model that the sweep names; None without one.
        options: the options of the run; a prediction uses `inputs` and `target`.
        checks: the options of a check.
        batch, threads: the batch size and the threads of a prediction.
        calibrations: the corrections of predictions for the board, by target.
        files: the files that options name, by option.
        note: a remark for the figures, such as how the variant was made.
        settings: the options that the sweep sets, by name, for the table.
    """

    job: Job
    profile: DeviceProfile
    profile_sha256: str
    model: ModelFiles
    label: str
    precision: str | None = None
    options: RunOptions = field(default_factory=RunOptions)
    checks: CheckOptions = field(default_factory=CheckOptions)
    batch: int = 1
    threads: int | None = None
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    files: Mapping[str, FileTree] = field(default_factory=dict)
    note: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """The digest of the model and of the files that the options name."""
        return hashlib.sha256(f"{self.model.sha256} {sorted(self._contents.items())}".encode()).hexdigest()

    @property
    def target(self) -> str:
        """What runs the model on the board: ``cpu``, ``gpu:tensorrt-fp16``."""
        return self.options.board.target or CPU

    @property
    def name(self) -> str:
        """What tells the cell from others of its sweep: ``jetson-nano digits int8 threads=4``."""
        target = self.target if self.target != CPU else ""
        settings = (f"{name}={value}" for name, value in self.settings.items())
        return " ".join(filter(None, (self.profile.reference, self.label, self.precision, target, *settings)))

    @cached_property
    def key(self) -> str:
        """The digest of all that determines the result, 24 hexadecimal digits.

        The paths of the files and their times of writing have no influence on the key, nor has an option at its
        default: keys stay the same when edgesim gains an option.
        """
        facts = {
            "job": self.job,
            "profile": [
                self.profile.reference,
                self.profile_sha256,
                self.profile.device_tree,
                self.profile.cpu.brand,
                str(self.profile.price),
            ],
            "model": [self.label, self.precision, self.model.name, self.model.sha256],
            "options": stated_options(self.options),
            "contents": self._contents,
            "prediction": [
                self.batch,
                self.threads,
                {target: stated_facts.stated(each, {}) for target, each in self.calibrations.items()},
            ],
            "checks": {
                name: value
                for name, value in asdict(self.checks).items()
                if getattr(self.checks, name) != getattr(CheckOptions, name)
            },
            "version": __version__,
        }
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def _contents(self) -> dict[str, str]:
        return {option: tree.sha256 for option, tree in self.files.items()}

    @property
    def trees(self) -> tuple[FileTree, ...]:
        """All files that the cell reads."""
        return (self.model, *self.files.values())

    def at(self, place: Callable[[FileTree], Path]) -> "Cell":
        """Return the cell with its files in other directories, as on a worker that has received the files.

        Args:
            place: returns the directory with the files of a tree.
        """
        moved: dict[str, Any] = {}
        for option, tree in self.files.items():
            path: Path = getattr(self.options.inputs, option)
            moved[option] = place(tree) / os.path.relpath(path.absolute(), tree.root)
        return replace(
            self,
            model=self.model.at(place(self.model)),
            options=RunOptions.of(self.options, models=None, **moved),
            files={option: tree.at(place(tree)) for option, tree in self.files.items()},
        )


def stated_options(options: RunOptions) -> dict[str, Any]:
    """Return the options of a run that differ from their defaults, by section, without paths of files."""
    return stated_facts.stated(type(options).of(options, **dict.fromkeys(_PATHS)), {})
