"""The stack of `edgesim notebook`: JupyterLab beside a board that serves what the notebook trains."""

import json
from dataclasses import dataclass
from pathlib import Path

from edgesim import paths, profiles
from edgesim.errors import UsageError
from edgesim.results import result_file
from edgesim.stacks.service import ME, Build, Files, Service, StackMount
from edgesim.stacks.stack import Stack

BOARD, NOTEBOOK = "board", "notebook"
_PORT = 8888
_TOKEN = "JUPYTER_TOKEN"  # noqa: S105 (the variable's name)
_WORK, _MODELS, _PROFILE = "/work", "/models", "/profile"
_EMPTY = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "first",
            "metadata": {},
            "outputs": [],
            "source": ["import edgesim\n"],
        }
    ],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A notebook beside a board, as the user wants it.

    Attributes:
        profile: the board, which the variable ``EDGESIM_PROFILE`` of the notebook names.
        directory: the user's directory, where the notebook's files are.
        file: the notebook in `directory`; an empty one is made if it is not there.
        models: the model repository that the board serves, and that the notebook has as ``/models``; None means a
            volume that goes with the stack.
        port: of 127.0.0.1; 0 means any free port.
        engine: whether edgesim in the notebook may start boards on this host's engine.
        runtime: the release of ONNX Runtime that the board serves with; None means the board's own, else the default.
    """

    profile: str
    directory: Path
    file: str
    models: Path | None = None
    port: int = 0
    engine: bool = True
    runtime: str | None = None

    def make_file(self) -> None:
        """Make the empty notebook, unless there is a file.

        Raises:
            UsageError: the directory does not exist, or the name is no notebook in it.
            ResultError: the file cannot be written.
        """
        if not self.directory.is_dir():
            raise UsageError(f"`directory={self.directory}`: no such directory", fix=f"mkdir -p {self.directory}")
        if Path(self.file).name != self.file or not self.file.endswith(".ipynb"):
            raise UsageError(
                f"`file={self.file}`: not the name of a notebook in {self.directory}", fix="a name such as board.ipynb"
            )
        if not (path := self.directory / self.file).exists():
            result_file.write_text(path, f"{json.dumps(_EMPTY, indent=1)}\n")

    def stack(self) -> Stack:
        """Return the stack.

        Raises:
            UsageError: there is no such board, or no such directory of models.
        """
        profiles.load(self.profile)  # a wrong name is refused before anything is made
        if self.models is not None and not self.models.is_dir():
            raise UsageError(f"`models={self.models}`: no such directory", fix=f"mkdir -p {self.models}")
        models = Files(bind=self.models.resolve()) if self.models is not None else Files(volume="models")
        mounts = [
            StackMount(bind=self.directory.resolve(), at=_WORK, writable=True),
            StackMount(bind=models.bind, volume=models.volume, at=_MODELS, writable=True),
        ]
        reference = self.profile
        if (file := Path(self.profile.partition(":")[0])).is_file():
            mounts.append(StackMount(bind=file.resolve(), at=f"{_PROFILE}/{file.name}"))
            reference = f"{_PROFILE}/{file.name}{self.profile[len(str(file)) :]}"
        notebook = Service(
            build=Build(context=paths.notebook_directory(), edgesim=(), requirements=Path("requirements.txt")),
            beside=True,
            user=ME,
            engine=self.engine,
            environment={"EDGESIM_PROFILE": reference},
            port=_PORT,
            publish=self.port,
            token=_TOKEN,
            mounts=tuple(mounts),
        )
        board = Service(watch=models, runtime=self.runtime)
        return Stack(name=NOTEBOOK, profile=self.profile, services={BOARD: board, NOTEBOOK: notebook})
