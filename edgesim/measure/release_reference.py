"""The reference in another release of ONNX Runtime than edgesim's: a model on this host, in a process of its own.

A board's answers differ from the newest release's by the board and by the release. The same release on this host tells
one from the other.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgesim.errors import HostError, ModelError
from edgesim.host import cores
from edgesim.host.parent_death import AT_START, end_with_parent
from edgesim.host.scratch import scratch_directory
from edgesim.measure import release_worker
from edgesim.measure.host_session import MOST_S, TooLong
from edgesim.measure.output_difference import Outputs
from edgesim.measure.reference import Reference, RunFailed
from edgesim.models import bounded_process
from edgesim.models.gathered import gathered, has_links
from edgesim.models.repository import Model


@dataclass(frozen=True, kw_only=True)
class ReleaseReference:
    """A model that runs on this host in a given release; each call starts a process, which loads the model.

    Attributes:
        release: of ONNX Runtime, such as ``1.16.3``.
        python: the command of a Python that the release has a wheel for.
        packages: the directory with the release and with numpy.
    """

    model: Model
    release: str
    python: str
    packages: Path
    other_release: None = None  # as `Reference` has it

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs for one set of inputs, by name; raises as `run_all`."""
        return dict(self.run_all([inputs])[0])

    def run_all(self, requests: Sequence[Mapping[str, NDArray[Any]]]) -> Sequence[Outputs]:
        """Return the outputs for each set of inputs.

        Raises:
            ModelError: this release does not load the model.
            RunFailed: it loads the model, and does not take the inputs.
            TooLong: it does not end within the time that it may take.
            HostError: the process ended without an answer.
        """
        with scratch_directory() as scratch, gathered(self.model) if has_links(self.model) else nullcontext() as links:
            asked, answered = Path(scratch) / "requests.zip", Path(scratch) / "answers.zip"
            release_worker.write(str(asked), requests)
            model = links if links is not None else self.model.path
            words = [str(model), str(asked), str(answered), str(cores.count())]
            done = self._end_of(words, most_s=MOST_S * (1 + len(requests)))
            if done.returncode == 0:
                return release_worker.read(str(answered))
        raise self._error(done)

    def _end_of(self, words: Sequence[str], *, most_s: float) -> "subprocess.CompletedProcess[str]":
        most_bytes = bounded_process.spare_bytes()

        def prepare() -> None:
            end_with_parent()
            bounded_process.bound(most_bytes)

        try:
            return subprocess.run(
                [self.python, release_worker.__file__, *words],
                # PYTHONPATH goes before the installed packages, so that edgesim's own ONNX Runtime is not found.
                env={**bounded_process.environment(), "PYTHONPATH": str(self.packages), "ORT_DISABLE_TELEMETRY": "1"},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=most_s,
                check=False,
                preexec_fn=prepare if AT_START is not None else None,
            )
        except subprocess.TimeoutExpired as error:
            raise TooLong(f"ONNX Runtime {self.release} on this host did not end within {most_s:g} s") from error

    def _error(self, done: "subprocess.CompletedProcess[str]") -> Exception:
        try:
            failure = json.loads(done.stdout)
        except ValueError:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return HostError(f"ONNX Runtime {self.release} does not run on this host: {last}")
        why = " ".join(str(failure["why"]).split())
        if failure["failed"] == "load":
            return ModelError(f"{self.model.path}: ONNX Runtime {self.release} does not load it: {why}")
        return RunFailed(why)


AnyReference = Reference | ReleaseReference
