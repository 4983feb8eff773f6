"""Hosts that are not a developer's machine: no home, closed streams, another encoding, a shell that ignores SIGINT."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import write_model
from tests.integration.conftest import COMMAND, edgesim

STRANGER = 54321  # a user without an entry in the user database


def python_of_anybody() -> str:
    """Return a Python of this version that any user may run; skip without one."""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, f"/usr/bin/python{wanted}"):
        try:
            subprocess.run([program, "-c", ""], user=STRANGER, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return program
    pytest.skip(f"no Python {wanted} that every user may run")


@pytest.fixture
def as_stranger(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, object]]:
    """A command line, and options of `subprocess.run`, that run edgesim as a user without a home and a name."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    python = python_of_anybody()
    packages = [path for path in sys.path if path.endswith("site-packages")]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *packages]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DOCKER_HOST": "unix:///nowhere/docker.sock",
    }
    options = {"user": STRANGER, "group": STRANGER, "extra_groups": [], "env": environment, "cwd": "/"}
    probe = [python, "-m", "edgesim.cli", "--version"]
    if subprocess.run(probe, capture_output=True, check=False, **options).returncode != 0:  # type: ignore[call-overload]
        pytest.skip("other users may not read this checkout or its packages")
    return [python, "-m", "edgesim.cli"], options


@pytest.fixture
def model() -> Iterator[Path]:
    """A model that every user may read, which pytest's own directories do not allow."""
    with tempfile.TemporaryDirectory(prefix="hosts-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        path = write_model(Path(directory) / "net.onnx")
        path.chmod(0o644)
        yield path


def run(command: list[str], *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    words = [*command, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=240, **options)  # type: ignore[call-overload, no-any-return]


def test_user_without_a_home_predicts_and_runs(as_stranger: tuple[list[str], dict[str, object]], model: Path) -> None:
    command, options = as_stranger
    done = run(command, "predict", "jetson-nano", model, **options)
    assert (done.returncode, "ms" in done.stdout) == (0, True), done.stderr
    done = run(command, "run", "x86-gateway", model, "--engine", "local", "--requests", 5, **options)
    assert done.returncode == 0, done.stderr
    done = run(command, "run", "x86-gateway", "digits", "--engine", "local", **options)
    assert (done.returncode, "set EDGESIM_CACHE_DIR" in done.stderr) == (3, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("/.docker").exists()
    done = run(command, "doctor", **options)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "set EDGESIM_CACHE_DIR" in done.stdout


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_do_not_end_a_command(redirection: str, model: Path, tmp_path: Path) -> None:
    words = " ".join([*COMMAND, "run", "x86-gateway", str(model), "--engine", "local", "--requests", "5"])
    done = subprocess.run(
        ["sh", "-c", f"exec {words} -o {tmp_path}/r.json {redirection}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.json").stat().st_size > 1000


def test_character_that_the_locale_lacks_does_not_end_a_command(model: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = edgesim("run", "x86-gateway", model, "--engine", "local", "--requests", "5", env=os.environ | plain)
    assert (done.returncode, "VALID" in done.stdout) == (0, True), done.stderr


def test_job_in_the_background_ends_on_sigint_though_the_shell_lets_it_ignore_it(model: Path, tmp_path: Path) -> None:
    version = tmp_path / "models" / "net" / "1"
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(model.read_bytes())
    server = subprocess.Popen(
        [*COMMAND, "serve", "x86-gateway", "--engine", "local", "--models", str(tmp_path / "models")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert server.stdout is not None
    assert "http://" in server.stdout.readline()
    server.send_signal(signal.SIGINT)
    begin_s = time.monotonic()
    server.communicate(timeout=60)
    assert server.returncode in (0, 130)
    assert time.monotonic() - begin_s < 60


def test_directory_with_any_name_is_fine(tmp_path: Path) -> None:
    home = tmp_path / "José Müller, 学生=1:a"
    home.mkdir()
    path = write_model(home / "modèle a.onnx")
    environment = os.environ | {"HOME": str(home), "TMPDIR": str(home)}
    done = edgesim("run", "x86-gateway", path, "--engine", "local", "--requests", "5", env=environment, cwd=home)
    assert done.returncode == 0, done.stderr


@pytest.mark.docker
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("nothing_left_behind")
@pytest.mark.parametrize("network", ["bridge", pytest.param("host", marks=pytest.mark.long), "own"])
def test_job_in_a_container_beside_the_engines_reaches_its_board(desk: Path, tmp_path: Path, network: str) -> None:
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    if sys.version_info[:2] != (3, 11) or not packages.endswith("python3.11/site-packages"):
        pytest.skip("the image has Python 3.11, and these packages are another version's")
    built = edgesim("build", desk)
    assert built.returncode == 0, built.stderr
    image = built.stdout.partition(": ")[0]
    write_model(tmp_path / "net.onnx")
    if network == "own":
        network = f"edgesim-test-{os.getpid()}"
        subprocess.run(["docker", "network", "create", "--label", "edgesim.test", network], check=True)
    mounts = {
        "/var/run/docker.sock": "/var/run/docker.sock",
        packages: "/packages",
        str(Path(__file__).parents[2]): "/edgesim",
    }
    mounts |= {str(tmp_path): "/job", str(desk.parent): "/desk"}
    job = [
        "docker",
        "run",
        "--rm",
        "--network",
        network,
        "--user",
        "0:0",
        "--workdir",
        "/job",
        "--entrypoint",
        "python3.11",
    ]
    job += [word for source, target in mounts.items() for word in ("--volume", f"{source}:{target}")]
    job += ["--env", "PYTHONPATH=/edgesim:/packages", "--env", "PYTHONDONTWRITEBYTECODE=1", image, "-m", "edgesim.cli"]
    try:
        options = ["run", f"/desk/{desk.name}", "net.onnx", "--execution", "native", "--requests", "5", "-o", "r.json"]
        done = subprocess.run([*job, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        result = json.loads((tmp_path / "r.json").read_text())
        assert (result["device"]["mount"], result["requests"]["failed"]) == ("volume", 0)
        refused = subprocess.run([*job, *options, "--mount", "bind"], capture_output=True, text=True, check=False)
        assert (refused.returncode, "edgesim runs in a container of this engine" in refused.stderr) == (3, True)
    finally:
        if network.startswith("edgesim-test"):
            subprocess.run(["docker", "network", "rm", network], check=True, capture_output=True)
    volume = result["device"]["volume"]
    assert edgesim("volumes", "rm", volume).returncode == 0


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left_behind")
def test_proxies_of_the_users_configuration_are_neither_in_the_board_nor_on_the_way_to_it(
    desk: Path, model: Path, tmp_path: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": nowhere}}}))
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), nowhere)
    environment = os.environ | proxies | {"DOCKER_CONFIG": str(tmp_path)}
    options = ("--execution", "native", "--requests", "5", "-o", tmp_path / "r.json")
    done = edgesim("run", desk, model, *options, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["device"]["proxies"] == {}
    done = edgesim("doctor", env=environment)
    assert f"HTTP_PROXY={nowhere}" in done.stdout


@pytest.mark.emulation
def test_emulator_is_found_though_programs_in_the_temporary_directory_may_not_run(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    script = f"mount -t tmpfs -o noexec tmpfs {tmp_path} && exec {' '.join(COMMAND)} doctor --json"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = ["unshare", "--mount", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this host lets nobody mount: {done.stderr}")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["emulation"]["status"] == "ok", checks["emulation"]
    assert checks["scratch"]["finding"] == str(tmp_path)


@pytest.mark.parametrize(("flags", "words"), [("", "lacks flag F"), ("F", "ok")])
def test_registration_of_the_emulator_is_read_from_the_kernel(flags: str, words: str, tmp_path: Path) -> None:
    """The kernel has registrations of its own for each user namespace, so that this host's stay as they are."""
    qemu = next(
        (path for path in ("/usr/bin/qemu-aarch64-static", "/usr/bin/qemu-aarch64") if Path(path).exists()), None
    )
    if qemu is None:
        pytest.skip("no QEMU to register")
    elf = r"\x7fELF\x02\x01\x01" + 9 * r"\x00" + r"\x02\x00\xb7\x00"
    mask = 7 * r"\xff" + r"\x00" + 8 * r"\xff" + r"\xfe\xff\xff\xff"
    (tmp_path / "registration").write_text(f":qemu-aarch64:M::{elf}:{mask}:{qemu}:{flags}")
    directory = "/proc/sys/fs/binfmt_misc"
    script = (
        f"mount -t binfmt_misc binfmt_misc {directory} && cat {tmp_path}/registration > {directory}/register "
        f"|| exit 9; exec {' '.join(COMMAND)} doctor --json"
    )
    nowhere = os.environ | {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=nowhere)
    if done.returncode in (1, 9) or not done.stdout:
        pytest.skip(f"this kernel has no registrations for each user namespace (Linux 6.7): {done.stderr}")
    check = next(check for check in json.loads(done.stdout) if check["name"] == "emulation")
    assert words in f"{check['status']}: {check['finding']}", check
    assert f"qemu-aarch64: {qemu}" in check["finding"]


def test_a_limit_on_the_size_of_files_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    local = ("run", "x86-gateway", "digits", "--engine", "local", "--requests", "5", "-o")
    limited = ["bash", "-c", 'ulimit -f 1; exec "$@"', "bash", *COMMAND]
    assert run(COMMAND, *local, "r.json", cwd=tmp_path).returncode == 0
    for words in ((*local, "new.json"), ("report", "r.json", "-o", "new.html"), ("bundle", "r.json", "-o", "new.tar")):
        done = run(limited, *words, cwd=tmp_path)
        assert done.returncode == 3, done.stderr
        assert done.stderr.count("File too large") == 1
        assert "fix: raise the limit on the size of a file (ulimit -f)" in done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
