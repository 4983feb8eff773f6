"""Services beside the board: their architecture, their limits, and what tells them from those on the board."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ruamel.yaml import YAML

from edgesim.engine.compose_project import ServiceState
from edgesim.engine.context import Context
from edgesim.errors import ExitCode, HostError, StackError
from edgesim.host.emulator import host_architecture
from edgesim.stacks import compose_file, stack_loader, up
from edgesim.stacks.compose_file import Naming
from edgesim.stacks.failure import Evidence, failure
from edgesim.stacks.monitor import Monitor
from edgesim.stacks.resolve import Resolved, resolve
from edgesim.stacks.running import RunningStack

STACK = """
name: desk
profile: jetson-nano
entry: {service: board, model: digits}
services:
  board:
    watch: {volume: models}
  notebook:
    image: desk/notebook:1
    beside: true
    port: 8888
    publish: 0
    token: JUPYTER_TOKEN
    mounts:
      - {volume: models, at: /notebook/models, writable: true}
  trainer:
    packages: [python3]
    command: [python3, /train.py]
    beside: true
    once: true
    memory: 8 GiB
    cpus: 2
"""
HOST_MEMORY_BYTES = 16 << 30


def resolved(directory: Path, text: str = STACK) -> Resolved:
    path = directory / "desk.yaml"
    path.write_text(text)
    return resolve(stack_loader.read(path), host_cores=8, host_memory_bytes=HOST_MEMORY_BYTES)


def services(directory: Path, text: str = STACK, **naming: Any) -> Mapping[str, Any]:
    names = Naming(**{"project": "edgesim-desk", "parent": "/edgesim/desk"} | naming)
    document: Mapping[str, Any] = YAML(typ="safe").load(compose_file.text(resolved(directory, text), names))
    return document["services"]  # type: ignore[no-any-return] # of a parsed file


def state(service: str, **facts: Any) -> ServiceState:
    usual = {"id": service, "image": "i", "pid": 1, "status": "running", "exit_code": 0, "health": None}
    return ServiceState(
        service=service,
        **usual | {"restarts": 0, "ran_s": 1.0, "ports": {}, "address": None} | facts,  # type: ignore[arg-type] # by name
    )


def test_service_beside_the_board_is_of_the_hosts_architecture_and_outside_of_the_boards_limits(
    tmp_path: Path,
) -> None:
    board, notebook, trainer = (services(tmp_path)[name] for name in ("board", "notebook", "trainer"))
    assert board["platform"] == "linux/arm64"
    assert board["cgroup_parent"] == "/edgesim/desk"
    assert notebook["platform"] == trainer["platform"] == f"linux/{host_architecture()}"
    limits = {"cgroup_parent", "mem_limit", "memswap_limit", "cpu_quota", "cpu_period", "pids_limit", "ulimits"}
    assert limits <= set(board)
    assert limits & set(notebook) == set(), "nothing limits it"
    assert limits & set(trainer) == {"mem_limit", "memswap_limit", "cpu_quota", "cpu_period"}, "its own alone"
    assert trainer["mem_limit"] == 8 << 30, "more than the board has"
    assert "QEMU_CPU" in board["environment"]
    assert "QEMU_CPU" not in trainer["environment"]
    assert notebook["environment"]["OMP_NUM_THREADS"] == "8"


def test_services_beside_the_board_do_not_overcommit_it(tmp_path: Path) -> None:
    found = resolved(tmp_path, STACK.replace("watch: {volume: models}", "watch: {volume: models}\n    memory: 3 GiB"))
    assert found.overcommit is None
    assert list(found.on_board) == ["board"]
    assert list(found.beside) == ["notebook", "trainer"]


def test_image_beside_the_board_is_made_for_the_host(tmp_path: Path) -> None:
    found = resolved(tmp_path).services
    packages = found["trainer"].packages
    assert packages is not None
    assert packages.architecture == host_architecture()
    assert "arm64" in found["board"].image
    second = STACK + "  reference:\n    models: [digits]\n    beside: true\n"
    assert f":{host_architecture()}-" in resolved(tmp_path, second).services["reference"].image


def test_watched_volume_is_the_model_repository_of_a_server_that_reloads(tmp_path: Path) -> None:
    board = services(tmp_path)["board"]
    assert board["volumes"] == [{"type": "volume", "source": "models", "target": "/models", "read_only": True}]
    assert "--watch" in board["command"]
    assert not [word for word in board["command"] if word.startswith("--model=")], "whatever the volume will have"
    (tmp_path / "own").mkdir()
    bound = services(tmp_path, STACK.replace("watch: {volume: models}", "watch: own"))["board"]["volumes"][0]
    assert (bound["source"], bound["target"], bound["read_only"]) == (str(tmp_path / "own"), "/models", True)


def test_compose_file_names_the_variable_of_a_token_and_never_its_value(tmp_path: Path) -> None:
    notebook = services(tmp_path, labels={"edgesim.stack": "desk"})["notebook"]
    assert notebook["environment"]["JUPYTER_TOKEN"] is None, "Compose takes the value from its own environment"
    assert notebook["labels"] == {"edgesim.stack": "desk", "edgesim.token": "JUPYTER_TOKEN"}


def test_address_has_the_token_which_nothing_else_shows(tmp_path: Path) -> None:
    nothing: Any = None
    naming: Any = SimpleNamespace(parent="/edgesim/shop")
    running = RunningStack(resolved(tmp_path), nothing, nothing, naming, emulator=None)
    running.monitor.states = {"notebook": state("notebook", ports={8888: 40000}, token="sesame")}
    assert running.urls == {"notebook": "http://127.0.0.1:40000"}
    assert running.addresses == {"notebook": "http://127.0.0.1:40000/?token=sesame"}
    assert "sesame" not in repr(running.monitor.states)


def test_proxies_stay_beside_the_board_and_lead_past_the_proxy_to_the_services(tmp_path: Path) -> None:
    found = services(tmp_path, proxies={"HTTP_PROXY": "http://p:1", "NO_PROXY": "intranet"})
    assert found["board"]["environment"]["HTTP_PROXY"] == ""
    assert "HTTP_PROXY" not in found["notebook"]["environment"], "Compose sets it"
    assert found["notebook"]["environment"]["NO_PROXY"] == "intranet,board,notebook,trainer"


def test_service_with_the_engine_has_its_socket_and_the_group_that_owns_it(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    socket.touch()
    text = STACK.replace("    port: 8888\n", "    port: 8888\n    engine: true\n    user: me\n")
    notebook = services(tmp_path, text, socket=socket, user="1000:1000")["notebook"]
    assert notebook["volumes"][-1] == {"type": "bind", "source": str(socket), "target": "/var/run/docker.sock"}
    assert notebook["group_add"] == [str(socket.stat().st_gid)]
    assert notebook["user"] == "1000:1000", "the files in a bind mount are this user's"
    assert "group_add" not in services(tmp_path)["notebook"]


def test_engine_at_an_address_has_no_socket_for_a_service(tmp_path: Path) -> None:
    text = STACK.replace("    port: 8888\n", "    port: 8888\n    engine: true\n")
    engine: Any = SimpleNamespace(context=Context(name=None, url="tcp://127.0.0.1:2375"))
    with pytest.raises(HostError, match=r"services\.notebook\.engine: .* has no socket"):
        up.socket_path(resolved(tmp_path, text).stack, engine)
    engine = SimpleNamespace(context=Context(name=None, url="unix:///run/user/1000/docker.sock"))
    assert up.socket_path(resolved(tmp_path, text).stack, engine) == Path("/run/user/1000/docker.sock")
    assert up.socket_path(resolved(tmp_path).stack, engine) is None


def test_image_on_edgesims_own_changes_its_name_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "Dockerfile").write_text("ARG EDGESIM\nFROM ${EDGESIM}\n")
    build = "build: {context: image, edgesim: [EXTRA]}"
    plain = STACK.replace("image: desk/notebook:1", build.replace("[EXTRA]", "[]"))
    report = STACK.replace("image: desk/notebook:1", build.replace("EXTRA", "report"))
    names = {resolved(tmp_path, text).services["notebook"].image for text in (plain, report)}
    assert len(names) == 2
    with pytest.raises(StackError, match=r"services\.notebook\.build\.edgesim: .*no such extra.*'report'"):
        resolved(tmp_path, report.replace("report", "reprot"))
    missing = report.replace("edgesim: ", "requirements: pins.txt, edgesim: ")
    with pytest.raises(StackError, match=r"services\.notebook\.build: .*pins\.txt: no such file"):
        resolved(tmp_path, missing)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("watch: {volume: models}", "watch: {volume: models}\n    engine: true", "services.board.engine: is for"),
        (
            "watch: {volume: models}",
            "build: {context: ., edgesim: []}",
            "services.board.build.edgesim: edgesim's own image is for this host: give beside, too",
        ),
        ("watch: {volume: models}", "image: a:1\n    beside: true", "services: all are beside the board"),
        ("service: board", "service: notebook", "entry.service: notebook is beside the board"),
        ("{service: board, model: digits}", "board", "entry.model: is missing: the models in a watched repository"),
        ("memory: 8 GiB", "memory: 32 GiB", "services.trainer.memory: 32.0 GiB is more than this host has: 16.0 GiB"),
        ("cpus: 2", "cpus: 9", "services.trainer.cpus: 9 is more than this host has: 8"),
        ("watch: {volume: models}", "watch: missing", "services.board.watch: "),
        ("watch: {volume: models}", "watch: {}", "watch: give either bind or volume"),
        ("{volume: models}\n", "{volume: models}\n    models: [digits]\n", "not models and watch"),
        ("{volume: models}\n", "{volume: models}\n    mount: volume\n", "services.board.mount: is for models"),
        ("{volume: models}\n", "{volume: models}\n    entrypoint: [python3]\n", "services.board.watch: is for"),
        ("    publish: 0\n", "", "services.notebook.token: is part of the address of a published port"),
        (
            "    publish: 0\n",
            "    publish: 0\n    environment: {JUPYTER_TOKEN: a}\n",
            "JUPYTER_TOKEN is in environment",
        ),
        ("JUPYTER_TOKEN", "not a name", "services.notebook.token"),
        ("    cpus: 2\n", "    target: cpu\n", "services.trainer.target: is for edgesim's own server"),
    ],
)
def test_what_does_not_go_together_is_refused_with_one_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert STACK.count(old) >= 1
    with pytest.raises(StackError) as caught:
        resolved(tmp_path, STACK.replace(old, new, 1))
    assert caught.value.exit_code == ExitCode.USAGE
    assert words in caught.value.problem
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize(
    ("keys", "words"),
    [("target: cpu", "is for a service on the board"), ("gpus: all", "runs models on the host's processor")],
)
def test_own_server_beside_the_board_has_no_target_and_no_gpus(tmp_path: Path, keys: str, words: str) -> None:
    with pytest.raises(StackError, match=words):
        resolved(tmp_path, f"{STACK}  reference:\n    models: [digits]\n    beside: true\n    {keys}\n")


def test_group_of_a_service_beside_the_board_is_not_taken_for_the_boards() -> None:
    board_group = SimpleNamespace(version=2, limits=lambda: "the board's limits")
    groups = {
        "notebook": SimpleNamespace(version=2, above=lambda _: pytest.fail("of all containers of the engine")),
        "board": SimpleNamespace(version=2, above={"edgesim-shop.slice": board_group}.get),
    }
    states = {name: state(name, pid=number) for number, name in enumerate(groups, start=2**22)}
    project: Any = SimpleNamespace(states=lambda: states, cgroup=lambda state: groups[state.service])
    monitor = Monitor(project, "edgesim-shop.slice", beside=["notebook"])
    monitor.look()
    assert monitor.limits == "the board's limits"  # type: ignore[comparison-overlap] # stands for some


def test_step_beside_the_board_fails_with_its_own_exit_code_and_one_on_the_board_with_that_of_the_device(
    tmp_path: Path,
) -> None:
    text = STACK + "  prepare:\n    packages: [python3]\n    command: [python3]\n    once: true\n"
    found, evidence = resolved(tmp_path, text), Evidence(log="", killed=False, board_memory_peak_bytes=0)
    beside = failure(found, state("trainer", status="exited", exit_code=6), evidence)
    assert (beside.exit_code, "step trainer ended with exit code 6" in beside.problem) == (6, True)
    assert failure(found, state("prepare", status="exited", exit_code=6), evidence).exit_code == ExitCode.DEVICE
    service = failure(found, state("notebook", status="exited", exit_code=6), evidence)
    assert service.exit_code == ExitCode.DEVICE, "a service that is to stay has no verdict"


def test_sequence_may_be_beside_the_board_as_a_whole(tmp_path: Path) -> None:
    text = "name: s\nprofile: jetson-nano\nservices:\n  a: {image: 'a:1', beside: true, once: true}\n"
    assert list(resolved(tmp_path, text).on_board) == []


def test_memory_that_a_service_beside_the_board_lacked_was_not_the_boards(tmp_path: Path) -> None:
    found = resolved(tmp_path)
    evidence = Evidence(log="", killed=True, board_memory_peak_bytes=0)
    by_own = failure(found, state("trainer", status="exited", exit_code=137), evidence)
    assert "at its own limit of 8.0 GiB" in by_own.problem
    assert "emulator" not in by_own.problem
    by_host = failure(found, state("notebook", status="exited", exit_code=137), evidence)
    assert "at this host's limit" in by_host.problem
