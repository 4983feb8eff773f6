"""A place of a campaign's own: an engine, a cache, temporary files, and a list of everything that is there."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from edgesim import paths, profiles
from edgesim.host.owner import Owner
from edgesim.images import serving_image
from edgesim.models import samples
from tests.integration.conftest import DESK
from tests.integration.other_engine import OtherEngine, running

_MARK = "EDGESIM_CAMPAIGN"  # in the environment of every process that the campaign starts
STACK = "campaign"
# A board on which the digits take longer than on the slowest host, so that any host can be slowed down to it.
_SLOW = """extends: jetson-nano
name: slow
title: A board of 3 MHz
cpu: {clock_hz: 3000000}
"""
_STACK = f"""name: {STACK}
profile: desk.yaml
entry: {{service: first, request: {{path: /v2/models/digits/infer, body: body.json}}}}
services:
  first: {{models: [digits], memory: 512 MiB}}
  second: {{models: [digits], memory: 512 MiB, cpus: 1}}
"""
_SWEEP = """profile: [desk.yaml, slow.yaml]
model: [digits]
set: {job: run, requests: [40, 41, 42], engine: local}
"""
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class Lab:
    """Where a campaign works.

    Attributes:
        directory: the working directory of every command.
        scratch: the place for temporary files of every command.
    """

    engine: OtherEngine
    directory: Path
    scratch: Path
    cache: Path
    _others: set[str] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command."""
        return os.environ | {
            _MARK: self.engine.namespace,
            "DOCKER_HOST": self.engine.host,
            "TMPDIR": str(self.scratch),
            "EDGESIM_CACHE_DIR": str(self.cache),
            "COLUMNS": "200",
        }

    def processes(self) -> set[str]:
        """Return the processes of this campaign's commands that still run, zombies not among them."""
        found = set()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):  # it ends meanwhile
                mine = process.pid != os.getpid() and process.environ().get(_MARK) == self.engine.namespace
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.add(f"process {process.pid} {' '.join(process.cmdline()[:5])}")
        return found

    def things(self) -> set[str]:
        """Return everything that commands may leave: objects of the engine, groups, temporary files and processes."""
        found = self.processes()
        for kind, form, options in (
            ("container", "{{.Names}}", ("--all",)),
            ("network", "{{.Name}}", ()),
            ("volume", "{{.Name}}", ()),
            ("image", "{{.Repository}}:{{.Tag}} {{.ID}}", ()),
        ):
            lines = self.engine.docker(kind, "ls", *options, "--format", form).splitlines()
            found |= {f"{kind} {line}" for line in lines}
        for pattern in (f"*/edgesim/{STACK}*", f"edgesim/{STACK}*", f"edgesim-{STACK}*"):
            found |= {f"control group {path}" for path in _CGROUPS.glob(pattern)}
        found |= {f"file {path}" for path in self.scratch.iterdir()}
        return found | {f"file {path}" for path in self._files_with_owners()}

    def _files_with_owners(self) -> Iterator[Path]:
        for root in (self.cache, self.directory):
            yield from (path for path in root.rglob("*") if Owner.named_in(path.name) is not None)

    def lost(self) -> set[str]:
        """Return what other programs had planted here and is gone."""
        return self._others - self.things()

    @contextmanager
    def others(self) -> Iterator[None]:
        """Plant what other programs could have made, with names and labels that look like edgesim's."""
        docker, image = self.engine.docker, self._image()
        sleep = ["--entrypoint", "/usr/bin/python3", image, "-c", "import time; time.sleep(1e6)"]
        living = Owner.this_process()
        before = self.things()
        docker("run", "--detach", "--name", "edgesim-0badcafe", *sleep)
        docker("run", "--detach", "--name", "of-the-living", "--label", "edgesim=9", *_owned(living.label), *sleep)
        docker("create", "--name", "edgesim-elsewhere", "--label", "edgesim=9", *_owned("of another: machine"), *sleep)
        docker("network", "create", "edgesim-of-others")
        docker("volume", "create", "edgesim-of-others")
        docker("volume", "create", "--label", "edgesim=9", "edgesim-kept")
        (self.scratch / "edgesim-of-others").mkdir()
        (self.scratch / f"edgesim-{living.file_name}-x").touch()
        (self.cache / f".result.json-{living.file_name}").touch()
        self._others = self.things() - before
        yield

    def results(self) -> Iterator[str]:
        """Yield the files of results that cannot be read, although they have their final names."""
        for path in self.directory.rglob("*.json"):
            try:
                json.loads(path.read_bytes())
            except (ValueError, OSError) as error:
                yield f"{path.relative_to(self.directory)}: {error}"

    def _image(self) -> str:
        return serving_image.reference_of(profiles.load(self.directory / "desk.yaml"))


def _owned(owner: str) -> tuple[str, str]:
    return "--label", f"edgesim.owner={owner}"


@contextmanager
def opened() -> Iterator[Lab]:
    """Make the lab: a second engine with the images, models and files that the commands take."""
    with running(required=True) as engine, tempfile.TemporaryDirectory(prefix="campaign-", dir="/tmp") as place:
        root = Path(place)
        lab = Lab(engine=engine, directory=root / "work", scratch=root / "tmp", cache=root / "cache")
        for directory in (lab.directory, lab.scratch, lab.cache):
            directory.mkdir()
        _fill(lab)
        yield lab


def _fill(lab: Lab) -> None:
    (lab.directory / "desk.yaml").write_text(DESK)
    (lab.directory / "slow.yaml").write_text(_SLOW)
    (lab.directory / "stack.yaml").write_text(_STACK)
    (lab.directory / "sweep.yaml").write_text(_SWEEP)
    x = np.zeros((1, 8, 8), np.float32)
    tensor = {"name": "image", "datatype": "FP32", "shape": x.shape, "data": x.ravel().tolist()}
    (lab.directory / "body.json").write_text(json.dumps({"inputs": [tensor]}))
    repository = samples.ensure("digits")
    shutil.copytree(repository / "digits", lab.cache / "models" / "digits")
    shutil.copytree(repository / "digits", lab.directory / "models" / "digits")
    # What images are built from: fetched before, for this user.
    for name in ("packages", "base-2"):
        if (source := paths.cache_directory() / name).exists():
            (lab.cache / name).symlink_to(source)
    archive = lab.directory.parent / "image.tar"
    for board in (str(lab.directory / "desk.yaml"), "jetson-nano"):
        subprocess.run([sys.executable, "-m", "edgesim.cli", "build", board], check=True, capture_output=True)
        reference = serving_image.reference_of(profiles.load(board))
        subprocess.run(["docker", "save", "--output", str(archive), reference], check=True)
        lab.engine.docker("load", "--input", str(archive))
        archive.unlink()
