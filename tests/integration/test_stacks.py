"""Several services on one board: started in their order, held to one budget, and taken down whole."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import edgesim as package
from edgesim import paths
from edgesim.engine import container_events
from edgesim.engine.docker_engine import Engine
from edgesim.engine.parent_cgroup import ParentCgroup
from edgesim.errors import OutOfMemory
from edgesim.host.emulator import host_architecture
from edgesim.models.repository import Model
from edgesim.stacks.monitor import Monitor
from tests.integration.conftest import begin, edgesim, wait_for
from tests.support.leftovers import assert_none_since, is_of_another_run
from tests.support.serving import save, scale
from tests.support.this_host import digit_on_this_host

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left_behind", "no_group_left")]

EXAMPLES = Path(__file__).parents[2] / "examples" / "stacks"

# One core and little memory, of this host's own architecture: what is shared has nothing to do with emulation.
SMALL = f"""
name: small
title: A small board of this host's architecture
soc: none
architecture: {host_architecture()}
cpu: {{core: host, cores: 1, clock_hz: 2000000000}}
memory: {{marketed_bytes: 256 MB, visible_bytes: 160 MiB}}
emulation: {{qemu_cpu: cortex-a57}}
image: {{dockerfile: Dockerfile.jetson}}
"""

# A container's first process heeds no SIGTERM but by a handler, and each test would wait for that.
HEEDING = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit())"

HOLD = f"""
{HEEDING}
import time
held = bytearray(int(sys.argv[1]) << 20)
held[::4096] = b"x" * len(held[::4096])
print("holding", sys.argv[1], "MiB", flush=True)
open("/tmp/ready", "w").close()
time.sleep(600)
"""

PYTHON = "packages: [python3, libstdc++6]"


@pytest.fixture
def no_group_left() -> Iterator[None]:
    """Fails when a test leaves a control group that was a stack's."""

    def groups() -> set[str]:
        found = [path for path in Path("/sys/fs/cgroup").glob("**/edgesim*/*") if path.is_dir()]
        return {str(path) for path in found if not is_of_another_run(str(path))}

    before = groups()
    yield
    assert_none_since(before, groups)
    shutil.rmtree(paths.cache_directory() / "stacks" / f"test-{os.getpid()}", ignore_errors=True)  # logs


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where stack files are written, beside a small board and a program that holds memory."""
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "hold.py").write_text(HOLD)
    return tmp_path


def write(directory: Path, services: str, *, name: str | None = None, more: str = "") -> Path:
    """A stack file; of this test run's own name, since others may run beside it."""
    path = directory / "stack.yaml"
    indented = "\n".join(f"  {line}" for line in services.strip().splitlines())
    name = name if name is not None else f"test-{os.getpid()}"
    path.write_text(f"name: {name}\nprofile: ./small.yaml\n{more}\nservices:\n{indented}\n")
    return path


def holding(mebibytes: int, *, memory: str | None = None) -> str:
    limit = f"\n  memory: {memory}" if memory else ""
    return f"""
  {PYTHON}
  command: [python3, /hold.py, "{mebibytes}"]
  mounts: [{{bind: hold.py, at: /hold.py}}]
  healthy: [python3, -S, -I, -c, "open('/tmp/ready')"]{limit}
"""


def containers(name: str) -> list[str]:
    listed = ["docker", "ps", "-a", "--format", "{{.Names}}", "--filter", f"label=edgesim.stack={name}"]
    return subprocess.check_output(listed, text=True).split()


def ask(url: str, path: str = "/", body: bytes | None = None) -> Any:
    with urllib.request.urlopen(f"{url}{path}", body, timeout=120) as answer:
        return json.loads(answer.read())


def test_two_services_each_within_its_own_limit_are_held_to_the_board_s_together(directory: Path) -> None:
    services = f"one:{holding(100, memory='120 MiB')}two:{holding(100, memory='120 MiB')}  after: [one]"
    done = edgesim("up", write(directory, services))
    assert done.returncode == 4, done.stderr
    said = done.stderr.splitlines()
    (line,) = [line for line in said if "was killed for lack of memory" in line]
    assert line.startswith(("edgesim: service one ", "edgesim: service two "))
    assert "at the board's limit of 160.0 MiB, which all services share" in line
    assert any("one: ready after" in line for line in said), "alone it was within the board's"


def test_one_service_above_its_own_limit_is_killed_there(directory: Path) -> None:
    done = edgesim("up", write(directory, f"one:{holding(100, memory='64 MiB')}"))
    assert done.returncode == 4
    assert "service one was killed for lack of memory at its own limit of 64.0 MiB" in done.stderr


@pytest.mark.skipif(not os.access("/dev/kmsg", os.R_OK), reason="the kernel's log is root's on this host")
def test_a_kill_at_a_memory_limit_is_found_in_the_kernel_s_log_where_the_engine_lost_its_event(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_events, "since", lambda *_, **__: [])
    monkeypatch.setattr(Monitor, "take", lambda self: None)  # nor did edgesim read the group in time
    path = write(directory, f"one:{holding(100, memory='64 MiB')}")
    killed = pytest.raises(OutOfMemory, match=r"service one was killed for lack of memory at its own limit")
    with killed, package.stack(path):
        pass


@pytest.mark.timing
def test_two_services_share_the_board_s_cpu(directory: Path) -> None:
    burning = f"""
  {PYTHON}
  command: [python3, -c, "{HEEDING}\\nwhile True: pass"]
"""
    path = write(directory, f"one:{burning}two:{burning}")
    with package.stack(path) as stack:
        with stack.monitor.phase("burning"):
            time.sleep(1.5)
        readings = stack.monitor.board
        assert stack.monitor.limits.cpus == 1
        assert stack.monitor.limits.memory_bytes == 160 << 20
    (phase,) = stack.monitor.phases
    within = [reading for reading in readings if phase.begin_ns <= reading.at_ns <= phase.end_ns]
    first, last = within[0], within[-1]
    assert first.cpu_seconds is not None
    assert last.cpu_seconds is not None
    assert last.cpu_seconds - first.cpu_seconds <= 1.05 * (last.at_ns - first.at_ns) / 1e9 + 0.02
    assert (last.throttled_periods or 0) > (first.throttled_periods or 0), "together they want more than there is"


DESK = f"""
{HEEDING}
import http.server, os, urllib.request
held = bytearray(200 << 20)
held[::4096] = b"x" * len(held[::4096])
print("asked by name:", urllib.request.urlopen("http://board:8000/").status, "with", os.environ["SECRET"], flush=True)
http.server.HTTPServer(("", 8888), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_service_beside_the_board_reaches_it_by_name_and_takes_nothing_of_its_memory(directory: Path) -> None:
    (directory / "desk.py").write_text(DESK)
    services = f"""
board:
  {PYTHON}
  command: [python3, -m, http.server, "8000", --directory, /usr/share]
  port: 8000
desk:
  {PYTHON}
  command: [python3, /desk.py]
  mounts: [{{bind: desk.py, at: /desk.py}}]
  beside: true
  after: [board]
  port: 8888
  publish: 0
  token: SECRET
"""
    with package.stack(write(directory, services)) as stack:
        token = stack.monitor.states["desk"].token
        assert token is not None
        assert stack.addresses["desk"] == f"{stack.urls['desk']}/?token={token}"
        assert stack.log("desk") == "asked by name: 200 with ***"
        stack.monitor.take()
        assert max(reading.memory_bytes or 0 for reading in stack.monitor.readings["desk"]) > 200 << 20
        assert max(reading.memory_peak_bytes or 0 for reading in stack.monitor.board) < 160 << 20
        assert stack.monitor.limits.memory_bytes == 160 << 20
        assert stack.killed() == {}


STEPS = f"""
first:
  {PYTHON}
  command: [python3, -c, "open('/steps/made', 'w').write('by the first'); print('made it')"]
  once: true
  mounts: [{{volume: work, at: /steps, writable: true}}]
second:
  {PYTHON}
  command: [python3, -c, "print('about to fail'); raise SystemExit(3)"]
  once: true
  after: [first]
  mounts: [{{volume: work, at: /steps, writable: true}}]
third:
  {PYTHON}
  command: [python3, -c, "print('never')"]
  once: true
  after: [second]
"""


def test_a_failing_step_stops_the_sequence_names_itself_and_keeps_its_log_and_output(
    directory: Path, tmp_path: Path
) -> None:
    path = write(directory, STEPS)
    name, volume = f"test-{os.getpid()}", f"edgesim-test-{os.getpid()}_work"
    done = edgesim("up", path)
    try:
        assert done.returncode == 4
        assert "step second ended with exit code 3" in done.stderr
        assert "not started: third" in done.stderr
        assert "  | about to fail" in done.stderr
        assert f"its output is in volume {volume}" in done.stderr
        logs = Path(done.stderr.rpartition("the complete logs are in ")[2].strip())
        assert {file.name: file.read_text() for file in logs.iterdir()} == {
            "first.log": "made it\n",
            "second.log": "about to fail\n",
        }
        assert containers(name) == []
        assert edgesim("volumes", "export", volume, tmp_path / "work").returncode == 0
        assert (tmp_path / "work" / "made").read_text() == "by the first"
    finally:
        assert edgesim("down", name, "--volumes").returncode == 0


@pytest.mark.parametrize(
    ("service", "code", "words"),
    [
        (f'{PYTHON}\n  command: [python3, -c, "raise SystemExit(7)"]', 4, "service a ended with exit code 7"),
        (f'{PYTHON}\n  command: [python3, -c, ""]', 4, "a step, which is expected to end, has `once: true`"),
        (f"{PYTHON}\n  command: [nothing-there]", 4, "nothing-there"),
        (
            f'{PYTHON}\n  command: [python3, -c, "raise SystemExit(7)"]\n  restart: always',
            4,
            "service a dies repeatedly: 3 restarts so far",
        ),
        (
            f'{PYTHON}\n  command: [python3, -c, "{HEEDING}; import time; time.sleep(60)"]\n  port: 8080',
            4,
            "service a was not ready within 3.0 s",
        ),
        ("image: no.such.registry.invalid/nothing:1", 4, "the engine has no image"),
        (f"{PYTHON}\n  mounts: [{{volume: none-of-that-name, at: /x, external: true}}]", 2, "does not exist"),
    ],
)
@pytest.mark.long
def test_a_service_that_does_not_come_up_is_one_clear_line(
    directory: Path, service: str, code: int, words: str
) -> None:
    done = edgesim("up", write(directory, f"a:\n  {service}"), "--ready-timeout", "3")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert containers(f"test-{os.getpid()}") == []


def test_a_port_that_is_taken_is_refused_before_the_work(directory: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = edgesim("up", write(directory, f"a:\n  {PYTHON}\n  port: 80\n  publish: {port}"))
    assert done.returncode == 2
    assert f"services.a.publish: port {port} of 127.0.0.1: Address already in use" in done.stderr


def test_an_image_for_another_architecture_is_refused(directory: Path) -> None:
    with Engine().file_transfer():  # makes edgesim/empty, which is of this host's
        pass
    path = write(directory, "a:\n  image: edgesim/empty:1")
    path.write_text(path.read_text().replace("./small.yaml", "jetson-nano"))
    done = edgesim("up", path)
    assert done.returncode == 2
    here = Engine().images.architecture("edgesim/empty:1")
    assert f"services.a.image: image edgesim/empty:1 is for {here}; the board jetson-nano is arm64" in done.stderr


def test_what_is_rendered_is_a_compose_file(tmp_path: Path) -> None:
    rendered = edgesim("stack", "render", EXAMPLES / "database" / "stack.yaml")
    assert rendered.returncode == 0, rendered.stderr
    (path := tmp_path / "compose.yaml").write_text(rendered.stdout)
    understood = subprocess.check_output(["docker", "compose", "-f", str(path), "config", "--format", "json"])
    document = json.loads(understood)
    assert set(document["services"]) == {"classifier", "store", "app"}
    assert document["services"]["app"]["depends_on"]["store"]["condition"] == "service_healthy"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_is_interrupted_leaves_nothing(directory: Path, number: signal.Signals) -> None:
    services = f"one:{holding(10)}two:\n  {PYTHON}\n  command: [python3, -c, '']\n  after: [one]\n  once: true"
    path = write(directory, services.replace("open('/tmp/ready')", "raise SystemExit(1)"))
    running = begin("up", path)
    wait_for(running, "starting one, two")
    time.sleep(1.0)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert containers(f"test-{os.getpid()}") == []


@pytest.mark.long
def test_a_killed_run_s_stack_is_garbage(directory: Path) -> None:
    path = write(directory, f"one:{holding(10)}".replace("open('/tmp/ready')", "raise SystemExit(1)"))
    path.write_text(path.read_text() + "  port: 80\n", encoding="utf-8")
    path.write_text(path.read_text() + "entry: {service: one, request: {path: /}}\n")
    path.write_text(path.read_text().replace("\n  port: 80", "\n    port: 80"))
    running = begin("run", path)
    wait_for(running, "starting one")
    deadline = time.monotonic() + 30
    while not containers(f"test-{os.getpid()}") and time.monotonic() < deadline:
        time.sleep(0.1)
    running.kill()
    running.communicate()
    assert containers(f"test-{os.getpid()}")
    done = edgesim("gc")
    assert f"removed edgesim-test-{os.getpid()}-" in done.stdout
    assert containers(f"test-{os.getpid()}") == []


def test_a_failed_start_names_the_service_and_leaves_nothing_up(directory: Path) -> None:
    path = write(directory, f"one:{holding(10)}two:\n  {PYTHON}\n  command: [no-such-program]")
    for _ in range(2):  # the second start finds nothing of the first
        done = edgesim("up", path)
        assert done.returncode == 4
        assert "cannot start service two:" in done.stderr
        assert containers(f"test-{os.getpid()}") == []
    no_command = write(directory, f"one:\n  {PYTHON}")
    for command in (["up"], ["stack", "validate"]):
        done = edgesim(*command, no_command)
        assert (done.returncode, "services.one.command: is missing" in done.stderr) == (2, True), done.stderr


# Heeds no SIGTERM: the engine kills it after its 10 s.
STUBBORN = f"""
one:
  {PYTHON}
  command: [python3, -c, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]
two:
  {PYTHON}
  command: [python3, -c, "import time; time.sleep(600)"]
  healthy: [python3, -c, "raise SystemExit(1)"]
  after: [one]
"""


@pytest.mark.long
def test_a_second_ctrl_c_waits_for_the_cleaning_up(directory: Path) -> None:
    running = begin("up", write(directory, STUBBORN))
    wait_for(running, "one: ready")
    running.send_signal(signal.SIGINT)
    wait_for(running, "taking test-")
    running.send_signal(signal.SIGINT)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "cleaning up, a moment" in said
    assert "everything that was started is gone" in said
    assert containers(f"test-{os.getpid()}") == []


@pytest.mark.long
def test_a_third_ctrl_c_leaves_the_cleaning_up_to_the_background(directory: Path) -> None:
    running = begin("up", write(directory, STUBBORN))
    wait_for(running, "one: ready")
    running.send_signal(signal.SIGINT)
    wait_for(running, "taking test-")
    running.send_signal(signal.SIGINT)
    wait_for(running, "cleaning up, a moment")
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, "gone" in said) == (130, False)
    assert "`edgesim gc` removes the rest, in the background" in said
    assert containers(f"test-{os.getpid()}")
    deadline = time.monotonic() + 60
    while containers(f"test-{os.getpid()}") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert containers(f"test-{os.getpid()}") == []


@pytest.mark.long
@pytest.mark.parametrize("by", ["gc", "up"])
def test_a_killed_start_of_a_stack_that_was_to_stay_is_garbage_and_no_obstacle(directory: Path, by: str) -> None:
    path, ready = write(directory, f"one:{holding(10)}"), directory / "ready.yaml"
    ready.write_text(path.read_text())
    path.write_text(path.read_text().replace("open('/tmp/ready')", "raise SystemExit(1)"))
    running = begin("up", path)
    wait_for(running, "starting one")
    deadline = time.monotonic() + 30
    while not containers(f"test-{os.getpid()}") and time.monotonic() < deadline:
        time.sleep(0.1)
    busy = edgesim("up", path)
    assert (busy.returncode, "another edgesim is starting the stack" in busy.stderr) == (2, True), busy.stderr
    running.kill()
    running.communicate()
    if by == "gc":
        assert f"removed edgesim-test-{os.getpid()}\n" in edgesim("gc").stdout
        assert containers(f"test-{os.getpid()}") == []
    else:
        assert "that was killed left behind" in (said := edgesim("up", ready).stderr), said
        assert edgesim("down", ready).returncode == 0


@pytest.mark.long
def test_a_stack_whose_attached_edgesim_was_killed_is_garbage(directory: Path) -> None:
    path = write(directory, f"one:{holding(10)}")
    running = begin("up", path, "--attach")
    wait_for(running, "Ctrl-C takes it down")
    assert edgesim("gc").returncode == 0
    assert len(containers(f"test-{os.getpid()}")) == 1, "its edgesim is still attached"
    busy = edgesim("up", path)
    assert (busy.returncode, "is attached to the stack" in busy.stderr) == (2, True), busy.stderr
    running.kill()
    running.communicate()
    assert f"removed edgesim-test-{os.getpid()}\n" in edgesim("gc").stdout
    assert containers(f"test-{os.getpid()}") == []


@pytest.mark.long
def test_a_stack_stays_up_until_it_is_taken_down(directory: Path) -> None:
    name = f"test-{os.getpid()}"
    own, users = ({"proxies": {"default": {"httpProxy": "http://127.0.0.1:9"}}}, "http://ann:secret@127.0.0.1:9")
    (directory / "config.json").write_text(json.dumps(own))
    path = write(directory, f"one:{holding(10)}  environment: {{HTTPS_PROXY: '{users}'}}")
    up = edgesim("up", path, env=os.environ | {"DOCKER_CONFIG": str(directory)})
    assert up.returncode == 0, up.stderr
    assert "proxies: one's image or environment sets HTTPS_PROXY=http://127.0.0.1:9, and" in " ".join(up.stdout.split())
    again = edgesim("up", path)
    assert (again.returncode, f"stack {name}: is already up" in again.stderr) == (2, True)
    assert edgesim("gc").returncode == 0, "its maker has gone, and it is no garbage for that"
    assert json.loads(edgesim("stack", "list", "--json").stdout)[f"edgesim-{name}"]["one"]["health"] == "healthy"
    assert name in edgesim("stack", "list").stdout
    assert edgesim("down", path).returncode == 0
    assert containers(name) == []
    gone = edgesim("down", name)
    assert (gone.returncode, f"stack {name} is not up" in gone.stderr) == (2, True)


@pytest.mark.long
def test_who_may_not_make_a_control_group_has_a_container_make_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ParentCgroup, "can_be_made_by_user", staticmethod(lambda facts: False))
    with package.stack(write(directory, f"one:{holding(10)}")) as stack:
        assert stack.monitor.limits.memory_bytes == 160 << 20
        assert stack.monitor.limits.cpus == 1


@pytest.mark.long
def test_a_stack_that_someone_stays_with_goes_down_with_ctrl_c(directory: Path) -> None:
    running = begin("up", write(directory, f"one:{holding(10)}"), "--attach")
    wait_for(running, "Ctrl-C takes it down")
    assert containers(f"test-{os.getpid()}")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert containers(f"test-{os.getpid()}") == []


def test_a_service_that_another_program_kills_ends_the_run_at_once(directory: Path) -> None:
    (directory / "server.py").write_text(GREEDY.replace("8 << 20", "8"))
    services = f"""
calm:{holding(5)}server:
  {PYTHON}
  command: [python3, /server.py]
  mounts: [{{bind: server.py, at: /server.py}}]
  port: 80
"""
    path = write(directory, services, more="entry: {service: server, request: {method: GET}}")
    running = begin("run", path, "--duration", "120", "-o", directory / "r.json")
    wait_for(running, "single-stream")
    (calm,) = [name for name in containers(f"test-{os.getpid()}") if "-calm-" in name]
    subprocess.run(["docker", "kill", calm], check=True, capture_output=True)
    _, said = running.communicate(timeout=60)  # far less than the 120 s of the load
    assert running.returncode == 4
    assert "service calm ended with exit code 137" in said
    assert "by SIGKILL, with no sign of a memory limit" in said
    result = json.loads((directory / "r.json").read_text())
    assert (result["services"]["calm"]["state"], result["services"]["server"]["state"]) == ("exited", "running")
    assert result["requests"]["failed"] <= 1, "the entry went on to answer"


GREEDY = f"""
{HEEDING}
import http.server
held = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        held.append(b"x" * (8 << 20))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *words): pass
http.server.HTTPServer(("", 80), Handler).serve_forever()
"""


@pytest.mark.long
@pytest.mark.parametrize(("restart", "code"), [("no", 4), ("always", 5)])
def test_a_benchmark_says_which_service_was_killed(directory: Path, restart: str, code: int) -> None:
    (directory / "greedy.py").write_text(GREEDY)
    services = f"""
calm:{holding(20)}greedy:
  {PYTHON}
  command: [python3, /greedy.py]
  mounts: [{{bind: greedy.py, at: /greedy.py}}]
  port: 80
  after: [calm]
  restart: "{restart}"
"""
    path = write(directory, services, more="entry: {service: greedy, request: {method: GET}}")
    done = edgesim("run", path, "--requests", "60", "-o", directory / "r.json")
    assert done.returncode == code, done.stderr
    result = json.loads((directory / "r.json").read_text())
    assert result["services"]["greedy"]["killed"] >= 1
    assert result["services"]["calm"]["killed"] == 0
    assert result["resources"]["oom_kills"] == result["services"]["greedy"]["killed"]
    assert not result["validity"]["valid"]
    assert "killed" in done.stdout
    assert "greedy" in done.stdout


@pytest.mark.long
def test_an_own_server_is_addressed_by_its_model_beside_what_a_dockerfile_makes(directory: Path) -> None:
    save(scale(time.time()), directory / "repository", "m")  # a model, and so a volume, of this test's own
    (directory / "app").mkdir()
    (directory / "app" / "hold.py").write_text(HOLD)
    (directory / "app" / "Dockerfile").write_text('FROM base\nCOPY hold.py /\nCMD ["python3", "/hold.py", "5"]\n')
    services = """
server:
  models: [m]
  repository: repository
  mount: volume
beside:
  build: {context: app, base: [python3, libstdc++6]}
"""
    path = write(directory, services, more="entry: server")
    try:
        done = edgesim("run", path, "--requests", "200", "--clients", "2", "-o", directory / "r.json")
        assert done.returncode in (0, 5), done.stderr  # a busy host can make it no measurement
        result = json.loads((directory / "r.json").read_text())
        assert (result["execution"], result["stack"]["entry"]) == ("native", "server")
        assert result["stack"]["request"] == "model m: random, seed 0"
        assert (result["requests"]["ok"], result["requests"]["failed"]) == (200, 0)
        assert result["services"]["server"]["models"] == ["m"]
        assert result["services"]["beside"]["image"]["reference"].startswith("edgesim/stack:test-")
        unnamed = _unnamed()
        again = edgesim("run", path, "--requests", "20")
        assert "unchanged, nothing to build" in again.stderr
        (directory / "app" / "hold.py").write_text(f"{HOLD}# changed")
        changed = edgesim("run", path, "--requests", "20")
        assert "building beside" in changed.stderr
        assert (len(_built()), _unnamed() - unnamed) == (2, set())
        (old,) = [name for name in edgesim("gc").stdout.splitlines() if f"edgesim/stack:test-{os.getpid()}-" in name]
        assert old.removeprefix("removed image ") not in _built()
        assert len(_built()) == 1
    finally:
        listed = edgesim("stack", "render", path).stdout
        edgesim("volumes", "rm", listed.rpartition("name: ")[2].strip())
        subprocess.run(["docker", "image", "rm", "-f", *_built()], capture_output=True, check=False)


def _built() -> list[str]:
    listed = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "edgesim/stack"]
    return [line for line in subprocess.check_output(listed, text=True).split() if f":test-{os.getpid()}-" in line]


def _unnamed() -> set[str]:
    listed = ["docker", "images", "--quiet", "--filter", "dangling=true", "--filter", "label=edgesim"]
    return set(subprocess.check_output(listed, text=True).split())


@pytest.mark.long
def test_a_benchmark_that_is_interrupted_keeps_what_it_has_and_leaves_no_stack(directory: Path) -> None:
    (directory / "server.py").write_text(GREEDY.replace("8 << 20", "8"))
    services = f"""
server:
  {PYTHON}
  command: [python3, /server.py]
  mounts: [{{bind: server.py, at: /server.py}}]
  port: 80
"""
    path = write(directory, services, more="entry: {service: server, request: {method: GET}}")
    running = begin("run", path, "--duration", "120", "-o", directory / "r.json")
    wait_for(running, "single-stream")
    time.sleep(3.0)
    so_far = json.loads((directory / "r.incomplete.json").read_text())
    assert len(so_far["samples"]) > 0, "what is measured is on disk meanwhile"
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    result = json.loads((directory / "r.json").read_text())
    assert (result["complete"], result["validity"]["valid"]) == (False, False)
    assert result["requests"]["ok"] == len(result["samples"]) > len(so_far["samples"])
    assert not (directory / "r.incomplete.json").exists()
    assert containers(f"test-{os.getpid()}") == []


@pytest.mark.emulation
@pytest.mark.long
def test_services_in_parallel_on_an_emulated_board_are_benchmarked_together(tmp_path: Path) -> None:
    done = edgesim("run", EXAMPLES / "parallel" / "stack.yaml", "--requests", "10", "-o", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["execution"], result["stack"]["entry"]) == ("emulated", "app")
    assert (result["requests"]["ok"], result["requests"]["failed"]) == (result["requests"]["sent"], 0)
    services = result["services"]
    assert set(services) == {"detector", "classifier", "app"}
    for service in services.values():
        used = service["resources"]
        assert used["cpu_seconds"] > 0
        assert 0 < used["memory_peak_bytes"] < result["resources"]["memory_peak_bytes"]
        assert service["killed"] == 0
    together = sum(service["resources"]["cpu_seconds"] for service in services.values())
    assert result["resources"]["cpu_seconds"] == pytest.approx(together, rel=0.3)
    assert result["budget"]["applied"]["memory_limit_bytes"] == result["budget"]["memory_bytes"] == 4187590656
    assert services["classifier"]["cpu_limit"] == 1
    assert "detector" in done.stdout
    assert "the board" in done.stdout
    shown = edgesim("report", tmp_path / "r.json", "-o", tmp_path / "r.html", "-o", tmp_path / "r.md")
    assert shown.returncode == 0, shown.stderr
    assert edgesim("report", tmp_path / "r.json").stdout.strip() in done.stdout


@pytest.mark.emulation
def test_steps_in_sequence_on_an_emulated_board_hand_files_on(tmp_path: Path) -> None:
    path = EXAMPLES / "sequence" / "stack.yaml"
    done = edgesim("up", path)
    try:
        assert done.returncode == 0, done.stderr
        order = [line.split(":")[1].strip() for line in done.stderr.splitlines() if "ended with 0 after" in line]
        assert order == ["prepare", "infer", "summarise"]
        assert containers("sequence") == [], "nothing runs any more, so nothing stays"
        assert edgesim("volumes", "export", "edgesim-sequence_work", tmp_path / "work").returncode == 0
        summary = json.loads((tmp_path / "work" / "summary.json").read_text())
        assert summary["pictures"] == 5
        assert summary["right"] >= 4
    finally:
        edgesim("down", "sequence", "--volumes")


@pytest.mark.long
@pytest.mark.emulation
def test_what_a_database_on_an_emulated_board_was_told_outlives_down_and_up(digits: Model) -> None:
    path, body = EXAMPLES / "database" / "stack.yaml", (EXAMPLES / "database" / "picture.json").read_bytes()
    digit = digit_on_this_host(digits, json.loads(body)["image"])
    try:
        url = json.loads(edgesim("up", path, "--json").stdout)["url"]
        assert ask(url, "/read", body) == {"digit": digit, "count": 1}
        assert ask(url, "/read", body) == {"digit": digit, "count": 2}
        down = edgesim("down", "database")
        assert (down.returncode, containers("database")) == (0, [])
        assert "its data stays in edgesim-database_data" in down.stdout
        url = json.loads(edgesim("up", path, "--json").stdout)["url"]
        assert ask(url, "/counts") == {str(digit): 2}
    finally:
        assert edgesim("down", "database", "--volumes").returncode == 0


@pytest.mark.long
@pytest.mark.emulation
def test_postgresql_on_an_emulated_board_answers() -> None:
    try:
        assert edgesim("up", EXAMPLES / "postgresql" / "stack.yaml", "--ready-timeout", "300").returncode == 0
        said = subprocess.check_output(["docker", "logs", "edgesim-postgresql-ask-1"], text=True)
        assert "PostgreSQL 15" in said
        assert "aarch64" in said
    finally:
        assert edgesim("down", "postgresql", "--volumes").returncode == 0
