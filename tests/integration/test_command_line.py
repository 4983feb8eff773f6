"""What a first-time user meets, engine or none."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import write_model
from tests.integration.conftest import edgesim
from tests.support.command_line import edgesim_here

NO_ENGINE = os.environ | {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "jetson-nanoo", "digits"], 2, "unknown profile 'jetson-nanoo'; did you mean 'jetson-nano'?"),
        (["run", "jetson-nano", "digit"], 2, "unknown model 'digit'; there are"),
        (["run", "jetson-nano", "raspberry-pi-4"], 2, "'raspberry-pi-4' is a profile, and not a model"),
        (["run", "digits", "jetson-nano"], 2, "profile and model are swapped: 'jetson-nano' is a profile"),
        (["run", "jetson-nano", "digits", "--models", "nowhere"], 2, "nowhere: no such model directory"),
        (["run", "jetson-nano", "nowhere.onnx"], 2, "nowhere.onnx: no such model file"),
        (["run", "jetson-nano"], 2, "Missing argument 'MODEL'"),
        (["run", "jetson-nano", "digits", "--requestss", "1"], 2, "No such option: --requestss"),
        (["run", "jetson-nano", "digits", "--requests", "0"], 2, "--requests"),
        (["run", "jetson-nano", "digits", "--shape", "image"], 2, "--shape image: not NAME=N,N"),
        (
            ["run", "jetson-nano", "digits", "--engine", "podman"],
            2,
            "Invalid value for '--engine': 'podman' is not one of 'docker', 'local'",
        ),
        (
            ["run", "jetson-nano", "digits", "--execution", "fast"],
            2,
            "Invalid value for '--execution': 'fast' is not one of",
        ),
        (["run", "jetson-nano", "digits", "--execution", "native", "--engine", "local"], 2, "runs as host"),
        (["run", "jetson-nano", "digits", "-o", "no/such/r.json"], 2, "no/such/r.json: its directory does not exist"),
        (["run", "jetson-nano", "digits"], 3, "no Docker Engine answers at unix:///nowhere/docker.sock"),
        (["build", "jetson-nano"], 3, "no Docker Engine answers"),
        (["gc"], 3, "no Docker Engine answers"),
        (["up", "nowhere.yaml"], 2, "nowhere.yaml: no such stack file"),
        (["up", "examples/stacks/parallel/stack.yaml"], 3, "no Docker Engine answers"),
        (
            ["run", "examples/stacks/parallel/stack.yaml", "--sweep", "1,2"],
            2,
            "--sweep: is for one model, not for a stack",
        ),
        (["run", "examples/stacks/sequence/stack.yaml", "--qps", "2"], 2, "has only steps"),
        (["down", "shop"], 3, "no Docker Engine answers"),
        (["serve", "jetson-nano", "--models", "nowhere"], 2, "nowhere: no model in it"),
    ],
)
def test_an_error_is_one_line_with_a_fix_and_an_exit_code(
    arguments: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE["DOCKER_HOST"])
    done = edgesim_here(*arguments)
    errors = [line for line in done.stderr.splitlines() if line.startswith("edgesim: ") and words in line]
    assert done.returncode == code, done.stderr
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_file_that_is_not_onnx_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    path = tmp_path / "cat.onnx"
    path.write_bytes(b"\x89PNG not a model at all")
    done = edgesim("run", "jetson-nano", path, env=NO_ENGINE)
    assert done.returncode == 2
    assert f"{path}: not an ONNX model" in done.stderr


def test_a_model_that_onnx_runtime_refuses_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    done = edgesim("run", "jetson-nano", write_model(tmp_path / "odd.onnx", operation="NoSuchOperation"), env=NO_ENGINE)
    assert done.returncode == 2
    assert "ONNX Runtime does not load it" in done.stderr


def test_doctor_reports_a_missing_engine_and_how_to_install_one() -> None:
    done = edgesim("doctor", "--json", env=NO_ENGINE)
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 3
    assert checks["engine"]["status"] == "problem"
    assert "scripts/engine install" in checks["engine"]["fix"]
    names = {"cache", "cores", "engine", "machine", "buildx", "compose", "emulation", "base", "proxies", "disk"}
    assert set(checks) >= names


def test_doctor_reports_a_missing_docker_command(tmp_path: Path) -> None:
    done = edgesim("doctor", "--json", env=os.environ | {"PATH": str(tmp_path)})
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["buildx"]["finding"] == checks["compose"]["finding"] == "no docker command on the PATH"
    assert "scripts/engine install" in checks["compose"]["fix"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.docker
def test_a_user_without_permission_learns_that_and_not_that_no_engine_exists() -> None:
    script = (
        "import os\nfrom edgesim.engine.docker_engine import Engine\nfrom edgesim.errors import EngineDenied\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: Engine()\nexcept EngineDenied as error: print(error.problem, '|', error.fix)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd="/")
    assert "a Docker Engine runs, but" in done.stdout, done.stderr
    assert "usermod -aG docker" in done.stdout


@pytest.mark.emulation
def test_doctor_reports_no_problem_where_everything_runs() -> None:
    done = edgesim("doctor")
    assert done.returncode == 0, done.stdout
    assert "arm64 through QEMU" in done.stdout


def test_a_run_without_an_engine_works_as_a_process_of_this_host(tmp_path: Path) -> None:
    result = tmp_path / "r.json"
    done = edgesim("run", "jetson-nano", "digits", "--engine", "local", "--requests", "70", "-o", result, env=NO_ENGINE)
    assert done.returncode == 0, done.stderr
    document = json.loads(result.read_text())
    assert document["execution"] == "host"
    assert document["device_time_ms"]["method"].startswith("predicted"), "whatever this host takes"
    assert document["latency_ms"]["p90"] is not None
    # The same ONNX Runtime on the same processor: its threads share the rows among them, never a sum.
    assert document["agreement"]["max_abs_difference"] == 0
    assert "this host's time, not a board's" in done.stdout


def test_an_invalid_run_is_shown_and_written_and_exits_with_5(tmp_path: Path) -> None:
    result = tmp_path / "r.json"
    done = edgesim("run", "jetson-nano", "digits", "--engine", "local", "--requests", "2", "-o", result, env=NO_ENGINE)
    assert done.returncode == 5
    assert "INVALID" in done.stdout
    assert json.loads(result.read_text())["validity"]["reasons"]


def test_stages_that_ran_before_edgesim_are_in_the_result(tmp_path: Path) -> None:
    arguments = ["run", "jetson-nano", "digits", "--engine", "local", "--requests", "5", "--json"]
    done = edgesim(*arguments, env=NO_ENGINE | {"EDGESIM_STAGES": "engine=31.5 environment=20"})
    stages = json.loads(done.stdout)["stages_s"]
    assert (stages["engine"], stages["environment"]) == (31.5, 20.0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["profiles", "list"],
        ["profiles", "show", "jetson-nano:5w"],
        ["models", "list"],
        ["models", "show", "digits"],
    ],
)
def test_facts_are_printed_for_people_and_as_json(arguments: list[str]) -> None:
    assert edgesim_here(*arguments).returncode == 0
    assert json.loads(edgesim_here(*arguments, "--json").stdout)


def test_every_command_has_help() -> None:
    top = edgesim("--help").stdout
    for command in ("run", "serve", "build", "doctor", "gc", "profiles", "models", "up", "down", "stack"):
        assert command in top
        assert edgesim_here(command, "--help").returncode == 0


def test_help_shows_defaults_that_stand_in_brackets() -> None:
    words = edgesim_here("gate", "--help").stdout.replace("│", " ").split()
    assert "[default: edgesim-gate.yaml]" in " ".join(words)


def test_the_wheel_carries_profiles_dockerfile_server_and_engine_script(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("edgesim-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    # Another directory, and the package from the wheel before the one from the checkout.
    script = "import edgesim, sys; sys.argv[0] = 'edgesim'; from edgesim.cli.main import main; main()"
    environment = NO_ENGINE | {"PYTHONPATH": str(tmp_path / "site")}

    def installed(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    assert "jetson-nano" in installed("profiles", "list").stdout
    local = installed("run", "jetson-nano", "digits", "--engine", "local", "--requests", "5")
    assert local.returncode == 0, local.stderr
    refused = installed("run", "jetson-nano", "digits")
    assert f"{tmp_path}/site/edgesim/_data/scripts/engine install" in refused.stderr
    data = tmp_path / "site" / "edgesim" / "_data"
    assert (data / "Dockerfile.jetson").read_bytes() == (ROOT / "Dockerfile.jetson").read_bytes()
    assert (tmp_path / "site" / "edgesim" / "server" / "requirements.txt").is_file()
    for name in ("report.html.j2", "style.css", "page.js"):
        assert (tmp_path / "site" / "edgesim" / "reports" / "formats" / "html" / name).is_file()


@pytest.mark.parametrize(("option", "code", "words"), [([], 0, "2 skipped"), (["--require-docker"], 1, "2 errors")])
def test_tests_without_docker_are_skipped_with_the_reason_or_fail_where_it_is_required(
    option: list[str], code: int, words: str
) -> None:
    chosen = ["tests/integration/test_run.py", "-k", "as_seen_from_inside or says_so"]
    command = [sys.executable, "-m", "pytest", "-q", *chosen, *option]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=NO_ENGINE)
    assert done.returncode == code, done.stdout
    assert words in done.stdout
    assert "no Docker Engine answers" in done.stdout


@pytest.mark.docker
def test_an_engine_without_gpus_is_refused_before_anything_is_built() -> None:
    runtimes = subprocess.run(
        ["docker", "info", "--format", "{{range $name, $_ := .Runtimes}}{{$name}} {{end}}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    if "nvidia" in runtimes:
        pytest.skip("this engine has GPUs to give")
    done = edgesim("run", "x86-gateway", "digits", "--gpus", "all")
    assert done.returncode == 3
    assert "has no GPU to give" in done.stderr
    assert "nvidia-ctk runtime configure" in done.stderr
    assert "building" not in done.stderr
