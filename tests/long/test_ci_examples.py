"""The examples for CI run as they stand: their steps, one after the other, on what a fresh runner has.

The runner is a clean directory with a user's repository, an empty home, Python, git and the docker command, with an
engine that has no image; for jobs in containers, a container beside that of the engine. In place of a package index
that has edgesim, pip finds the wheel of this checkout.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgesim.models import repository, samples
from edgesim.paths import cache_directory
from tests.integration import job_container
from tests.integration.conftest import edgesim
from tests.integration.job_container import JobContainer
from tests.integration.other_engine import OtherEngine, running
from tests.support.ci_jobs import EXAMPLES, SYSTEM, Job, jobs

pytestmark = [
    pytest.mark.long,
    pytest.mark.emulation,
    pytest.mark.usefixtures("nothing_left_behind"),
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).parents[2]
INPUTS = {"profile": "jetson-nano", "model": "detector"}
# A busy host makes a run INVALID or a comparison INCONCLUSIVE; anything else but PASS is the example's fault.
SOUND = {0, 5, 6}
_TIMEOUT_S = 900


@dataclass(frozen=True)
class Runner:
    """A user's repository, checked out, and the variables of a shell there.

    Attributes:
        engine: the address of an engine, for jobs that do not run in a container.
        after: removes what the jobs need.
    """

    checkout: Path
    environment: Mapping[str, str]
    engine: str
    after: ExitStack = field(default_factory=ExitStack)

    def run(self, job: Job, *, in_container: bool = False, **variables: str) -> dict[str, int]:
        """Run a job's steps, here or in a container; return the exit code of each, by its last line.

        A step that is not to stop the job runs even after one that fails, as those with ``always()`` do.
        """
        own = self.checkout.parent
        files = {name: own / name.lower() for name in ("GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        codes = {}
        container = self._container(job) if in_container else None
        for step in job.steps:
            for file in files.values():
                file.touch()
            added = files["GITHUB_PATH"].read_text().split()
            environment = {
                **self.environment,
                **({"DOCKER_HOST": self.engine} if container is None else {}),
                **SYSTEM[job.system],
                **job.variables,
                **variables,
                **{name: str(file) for name, file in files.items()},
                "PATH": ":".join([*reversed(added), self.environment["PATH"]]),
            }
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step]
            if container is not None:
                command = container.command(command, self.checkout, environment)
            done = subprocess.run(
                command,
                cwd=self.checkout,
                env=environment if container is None else None,
                capture_output=True,
                text=True,
                check=False,
                timeout=_TIMEOUT_S,
            )
            codes[step.splitlines()[-1]] = done.returncode
            assert done.returncode in SOUND, f"{step}\n{done.stdout}\n{done.stderr}"
        return codes

    def _container(self, job: Job) -> JobContainer:
        """Start a job's container: with docker:dind if the job has this service, else beside this host's engine."""
        links = (Path(word) for word in self.environment["PIP_FIND_LINKS"].split())
        seen = {
            "read": [link for link in links if link.exists()],
            "write": [self.checkout.parent, cache_directory(), Path(self.environment["PIP_CACHE_DIR"])],
        }
        certificates = job.variables.get("DOCKER_TLS_CERTDIR")
        return self.after.enter_context(
            job_container.beside_the_engine(**seen)
            if certificates is None
            else job_container.with_docker_in_docker(certificates, **seen)
        )


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheels")
    (directory / "cache").mkdir()
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(directory), str(ROOT)]
    subprocess.run(build, check=True)
    return directory


@pytest.fixture(scope="module")
def empty_engine(pytestconfig: pytest.Config) -> Iterator[OtherEngine]:
    with running(required=pytestconfig.getoption("--require-docker")) as engine:
        yield engine


@pytest.fixture
def runner(request: pytest.FixtureRequest, tmp_path: Path, wheels: Path, empty_engine: OtherEngine) -> Iterator[Runner]:
    """A clone of a small repository with a sample model, named by the test's parameter, its rules, and a branch."""
    origin, checkout, home = tmp_path / "origin", tmp_path / "checkout", tmp_path / "home"
    home.mkdir()
    target = origin / "models" / "detector" / "1" / "model.onnx"
    target.parent.mkdir(parents=True)
    shutil.copy2(repository.find(request.param, samples.ensure(request.param)).path, target)
    shutil.copy2(EXAMPLES / "edgesim-gate.yaml", origin)
    git(origin, "init", "--quiet", "--initial-branch", "main")
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message", "A model")
    git(origin, "checkout", "--quiet", "-b", "feature")
    (origin / "README.md").write_text("A detector\n")
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message", "A change")
    git(tmp_path, "clone", "--quiet", str(origin), str(checkout))
    found = os.environ.get("PIP_FIND_LINKS", "")
    # What reaches the package index and the mirror from here, and nothing else of the environment that tests run in.
    passed = {name: value for name, value in os.environ.items() if "proxy" in name.lower() or "CERT" in name}
    runner = Runner(
        checkout,
        {
            **passed,
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            "PIP_FIND_LINKS": f"{wheels} {found}".strip(),
            "PIP_CACHE_DIR": str(wheels / "cache"),  # the tests of this module share what the first one downloads
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "EDGESIM_CACHE_DIR": str(cache_directory()),  # base and packages: from a mirror they take a minute
        },
        empty_engine.host,
    )
    with runner.after:
        yield runner


@pytest.mark.parametrize("runner", ["digits"], indirect=True)
@pytest.mark.parametrize(
    ("file", "in_container"),
    [
        ("github.yml", False),
        ("github.yml", True),
        ("gitlab.yml", False),
        ("gitlab.yml", True),
        ("gitlab-docker.yml", True),
    ],
)
def test_a_model_is_run_judged_and_reported_in_ci(file: str, in_container: bool, runner: Runner) -> None:
    job = jobs(file, INPUTS)[0]
    codes = runner.run(job, in_container=in_container)
    result = json.loads((runner.checkout / "result.json").read_text())
    assert (result["profile"]["name"], result["model"]["name"]) == ("jetson-nano", "detector")
    if in_container and job.variables.get("DOCKER_TLS_CERTDIR") is None:
        assert edgesim("volumes", "rm", result["device"]["volume"]).returncode == 0  # it is on this host's engine
    for name in ("report.html", "gate.xml"):
        assert (runner.checkout / name).stat().st_size > 0
    if job.system == "github":
        assert codes["fi"] == 0
        assert (runner.checkout / "edgesim-images.tar").stat().st_size > 10**7
        assert "detector on NVIDIA Jetson Nano" in (runner.checkout.parent / "github_step_summary").read_text()


@pytest.mark.parametrize("runner", ["mobilenet_v2"], indirect=True)  # the digits are too quick to slow a host down to
@pytest.mark.parametrize(
    ("file", "name"), [("github-pull-request.yml", "compare"), ("gitlab.yml", "edgesim-merge-request")]
)
def test_two_revisions_of_a_model_are_compared_in_ci(file: str, name: str, runner: Runner) -> None:
    (job,) = (job for job in jobs(file, INPUTS) if job.name == name)
    base = git(runner.checkout, "rev-parse", "origin/main")
    # Of a slow board: a busy host is still quicker, and can be slowed down.
    runner.run(job, CI_MERGE_REQUEST_DIFF_BASE_SHA=base, PROFILE="raspberry-pi-zero-2")
    assert {path.name for path in (runner.checkout / "pair").iterdir()} >= {"base.json", "candidate.json"}


@pytest.mark.parametrize("runner", ["mobilenet_v2"], indirect=True)
def test_two_revisions_of_a_model_are_compared_in_a_job_that_has_docker_in_docker(runner: Runner) -> None:
    (job,) = (job for job in jobs("gitlab-docker.yml", INPUTS) if job.name == "edgesim-merge-request")
    base = git(runner.checkout, "rev-parse", "origin/main")
    runner.run(job, in_container=True, CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
    assert "PASS" in (runner.checkout / "pair.md").read_text()
