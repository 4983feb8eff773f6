"""What is to be started: the options that exclude each other, and how the models get into the container."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import pytest

from edgesim import profiles
from edgesim.boards.launch import Launch
from edgesim.cli._flags import with_flags
from edgesim.engine.context import Context
from edgesim.engine.mounts import Mount
from edgesim.errors import HostError, ReleaseTooOld, UsageError
from edgesim.models.repository import Model
from edgesim.options import BoardOptions, RunKeywords, RunOptions

FAR = Context(name="board1", url="tcp://10.0.0.7:2375")


def launch(model: Model, **options: Unpack[RunKeywords]) -> Launch:
    return Launch.of(profiles.load("jetson-nano"), [model], RunOptions.of(**options).board)


def test_models_are_mounted_file_by_file_unless_mounts_are_given(digits: Model, tmp_path: Path) -> None:
    nano = profiles.load("jetson-nano")
    assert [mount.target for mount in launch(digits).mounts] == ["/models/digits/1/model.onnx"]
    repository = [Mount(tmp_path, "/models")]
    whole = Launch.of(nano, [digits], BoardOptions(), mounts=repository, load_all=True)
    assert (whole.mounts, whole.model_names) == (repository, [])


def test_mount_method_follows_from_volume_and_machine(digits: Model) -> None:
    assert launch(digits).delivery.method == "bind"
    assert launch(digits, volume="v").delivery.method == "volume"
    assert launch(digits, mount="image").delivery.method == "image"
    assert replace(launch(digits), context=FAR).delivery.method == "volume"


def test_scaled_launch_has_its_targets_and_a_paced_server(digits: Model) -> None:
    plain = launch(digits)
    assert "--paced" not in (plain.server_arguments(intra_op_threads=1) or [])
    scaled = plain.scaled_to([])
    assert scaled.options.execution == "scaled"
    assert "--paced" in (scaled.server_arguments(intra_op_threads=1) or [])
    assert plain.options.execution is None, "the launch itself is unchanged"


def test_gpus_are_those_of_the_options_else_of_the_profile(digits: Model) -> None:
    assert not launch(digits).gpus
    assert "--gpus" not in (launch(digits).server_arguments(intra_op_threads=1) or [])
    asked = launch(digits, gpus="all")
    assert asked.gpus
    arguments = asked.server_arguments(intra_op_threads=1) or []
    assert arguments[arguments.index("--gpus") + 1] == "fp16"
    image = asked.profile.image.model_copy(update={"gpus": "all"})
    of_profile = replace(launch(digits), profile=asked.profile.model_copy(update={"image": image}))
    assert of_profile.gpus
    assert not replace(of_profile, options=of_profile.options.model_copy(update={"gpus": "none"})).gpus


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "local", "gpus": "all"}, "`gpus=all`: needs a container"),
        ({"engine": "local", "mount": "bind"}, "need a container, which `engine=local` does not have"),
        ({"engine": "local", "execution": "native"}, "`execution=native`: `engine=local` runs as host"),
        ({"engine": "local", "execution": "scaled"}, "`execution=scaled`: the CPU share of a plain process"),
        ({"mount": "image", "watch": True}, "`watch`: the files inside an image cannot change"),
        ({"mount": "image", "volume": "v"}, "`volume=v`: needs `mount=volume`"),
        ({"mount": "volume", "results": "/tmp"}, "no directory of this host is mounted"),
        ({"results": "/nowhere"}, "`results=/nowhere`: no such directory"),
    ],
)
def test_options_that_exclude_each_other_are_refused(digits: Model, options: RunKeywords, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        launch(digits, **options).check()
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("profile", "options", "words"),
    [
        ("x86-gateway", {}, "counts arm64 instructions, and x86-gateway is amd64"),
        ("jetson-nano", {"engine": "local"}, "counts what a container executes"),
        ("jetson-nano", {"execution": "scaled"}, "counts in an emulator, and not with `execution=scaled`"),
    ],
)
def test_count_is_refused_where_no_emulator_can_stand_before_the_server(
    digits: Model, profile: str, options: RunKeywords, words: str
) -> None:
    board = Launch.of(profiles.load(profile), [digits], RunOptions.of(count=True, **options).board)
    with pytest.raises(UsageError, match=f"count: {words}"):
        board.check()


def test_another_image_is_neither_watched_nor_scaled(digits: Model) -> None:
    profile = profiles.load("jetson-nano").served_by(reference="someone/server:1")
    for options, words in ((BoardOptions(watch=True), "`watch`: needs"), (BoardOptions(execution="scaled"), "only")):
        with pytest.raises(UsageError, match=words):
            Launch.of(profile, [digits], options).check()


def test_board_on_another_machine_is_not_scaled(digits: Model) -> None:
    with pytest.raises(UsageError, match=r"include the network to 10\.0\.0\.7"):
        replace(launch(digits, execution="scaled"), context=FAR).check()


def test_taken_port_is_refused_before_any_work(digits: Model) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1: Address already in use"):
            launch(digits, port=port).check()


def test_server_of_a_launch_with_grpc_has_its_package_and_port(digits: Model) -> None:
    plain, both = launch(digits), launch(digits, grpc_port=0)
    assert "--grpc-port" not in (plain.server_arguments(intra_op_threads=1) or [])
    arguments = both.server_arguments(intra_op_threads=1) or []
    assert arguments[arguments.index("--grpc-port") + 1] == "8001"
    assert plain.runtime is not None
    assert both.runtime is not None
    assert "grpcio" not in plain.runtime.release.requirements
    assert "grpcio==" in both.runtime.release.requirements


def test_grpc_is_refused_where_it_cannot_be(digits: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    other = profiles.load("jetson-nano").served_by(reference="some/image")
    with pytest.raises(UsageError, match="image some/image has its own"):
        Launch.of(other, [digits], BoardOptions(grpc_port=0)).check()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1: Address already in use"):
            launch(digits, grpc_port=port).check()
    with pytest.raises(UsageError, match=f"port {port} cannot be used for both HTTP and gRPC"):
        launch(digits, port=port, grpc_port=port).check()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for port, asked in ((0, "--grpc"), (9001, "--grpc-port")):
        with pytest.raises(HostError, match="a plain process needs grpcio, which is not installed") as missing:
            launch(digits, engine="local", grpc_port=port).check()
        assert with_flags(missing.value.problem).startswith(f"{asked}: ")


def test_models_are_copied_if_the_engine_does_not_see_edgesims_own_files(digits: Model, tmp_path: Path) -> None:
    assert launch(digits).beside_the_board().delivery.method == "volume"
    assert launch(digits, mount="image").beside_the_board().delivery.method == "image"
    for options in ({"mount": "bind"}, {"results": tmp_path}):
        with pytest.raises(HostError, match="edgesim runs in a container of this engine") as caught:
            launch(digits, **options).beside_the_board()
        assert "`mount=volume`" in caught.value.fix


def test_release_that_does_not_load_the_model_is_refused_before_its_image_is_built(digits: Model) -> None:
    def launch(runtime: str | None) -> Launch:
        return Launch.of(profiles.load("jetson-nano"), [digits], BoardOptions(runtime=runtime))

    with pytest.raises(ReleaseTooOld, match=r"1\.11\.0 does not load digits: opset 17; it loads up to 16") as error:
        launch("board").require_loadable()
    assert error.value.fix == "choose `runtime=1.12.1` or newer, or export the model for 1.11.0"
    for loads in (None, "1.12.1"):
        launch(loads).require_loadable()


@pytest.mark.parametrize(
    ("runtime", "words"),
    [
        (None, "outside of one the board has 1.11.0, the newest that the vendor publishes"),
        (None, "1.11.0 does not load digits: opset 17; it loads up to 16"),
        ("1.16.3", "as requested; 1.11.0 does not load digits"),
        ("board", "the newest that the vendor publishes for JetPack 4.6"),
    ],
)
def test_the_report_names_the_release_and_whether_the_boards_own_loads_the_model(
    digits: Model, runtime: str | None, words: str
) -> None:
    reason = Launch.of(profiles.load("jetson-nano"), [digits], BoardOptions(runtime=runtime)).runtime_reason
    assert reason is not None
    assert words in reason
