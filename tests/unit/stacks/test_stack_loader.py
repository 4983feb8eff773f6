"""Stack files: which are refused, and what Compose is told of the others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from edgesim import profiles
from edgesim.engine import gpus
from edgesim.errors import ExitCode, HostError, StackError
from edgesim.images import runtime_releases
from edgesim.stacks import compose_file, gpu_services, stack_loader
from edgesim.stacks.compose_file import Naming
from edgesim.stacks.resolve import Resolved, resolve
from tests.conftest import write_model

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "stacks").glob("*/stack.yaml"))

STACK = """
name: shop
profile: jetson-nano
entry: {service: app, request: {path: /read}}
services:
  detector:
    models: [net.onnx]
    memory: 1 GiB
    cpus: 2
  store:
    packages: [redis-server]
    command: [redis-server, --price, $5]
    healthy: [redis-cli, ping]
    restart: on-failure:3
    mounts:
      - {volume: data, at: /data, writable: true}
  prepare:
    image: shop/prepare:1
    once: true
  app:
    image: shop/app:1
    port: 8080
    publish: 18080
    environment: {LEVEL: 3}
    after: [detector, store, prepare]
    mounts:
      - {bind: files, at: /files}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_model(tmp_path / "net.onnx")
    (tmp_path / "files").mkdir()
    return tmp_path


def write(directory: Path, text: str = STACK) -> Path:
    path = directory / "shop.yaml"
    path.write_text(text)
    return path


def resolved(directory: Path, text: str = STACK, *, host_cores: int = 4) -> Resolved:
    return resolve(stack_loader.read(write(directory, text)), host_cores=host_cores, host_memory_bytes=64 << 30)


def rendered(directory: Path, text: str = STACK, **naming: Any) -> Mapping[str, Any]:
    names = Naming(**{"project": "edgesim-shop", "parent": "/edgesim/shop"} | naming)
    found: Mapping[str, Any] = YAML(typ="safe").load(compose_file.text(resolved(directory, text), names))
    return found


def refused(directory: Path, old: str, new: str) -> str:
    assert old in STACK
    with pytest.raises(StackError) as caught:
        resolved(directory, STACK.replace(old, new, 1))
    assert caught.value.exit_code == ExitCode.USAGE
    assert "\n" not in caught.value.problem
    return caught.value.problem


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("profile: jetson-nano\n", "", "key 'profile' is missing"),
        ("    memory: 1", "    memroy: 1", ":8: unknown key 'services.detector.memroy'; did you mean 'memory'?"),
        ("    memory: 1", "    mem_limit: 1", ":8: unknown key 'services.detector.mem_limit'; did you mean 'memory'?"),
        ("    after: [", "    depends_on: [", "; did you mean 'after'?"),
        ("at: /data", "att: /data", ":16: unknown key 'services.store.mounts.0.att'; did you mean 'at'?"),
        ("once: true", "once: maybe", "services.prepare.once"),
        ("models: [net.onnx]", "models: [nothing.onnx]", "services.detector.models: "),
        ("models: [net.onnx]", "{}", "not valid YAML"),
        (
            "packages: [redis-server]",
            "image: redis\n    packages: [redis-server]",
            "give one of models, watch, packages,",
        ),
        ("    image: shop/prepare:1\n", "", "services.prepare: give one of models, watch, packages, build and image"),
        ("cpus: 2", "cpus: 5", "services.detector.cpus: 5 is more than the board has: 4"),
        ("memory: 1 GiB", "memory: 8 GiB", "services.detector.memory: 8.0 GiB is more than the board has: 3.9 GiB"),
        ("cpus: 2", "port: 80", "services.detector.port: edgesim's own server has its own"),
        ("cpus: 2", "runtime: 1.14..1.18", "services.detector.runtime: `runtime=1.14..1.18`: a board has one release"),
        ("cpus: 2", "runtime: 1.9.0", "services.detector.runtime: `runtime=1.9.0`: edgesim makes no image"),
        ("once: true", "once: true\n    runtime: 1.16.3", "services.prepare.runtime: is for models"),
        ("{bind: files, ", "{bind: filez, ", "filez: does not exist"),
        ("{bind: files, ", "{bind: files, volume: v, ", "give either bind or volume"),
        ("[detector, store, prepare]", "[detectr]", "no such service; did you mean 'detector'?"),
        ("[detector, store, prepare]", "{store: completed}", "store is not expected to end"),
        ("[detector, store, prepare]", "{prepare: healthy}", "prepare has no `healthy` command"),
        ("    once: true", "    after: [app]", "in a circle: prepare after app after prepare"),
        ("    cpus: 2", "    after: [detector]", "in a circle: detector after detector"),
        ("    cpus: 2", "    publish: 18080", "services.app.publish: 18080 is already taken by detector"),
        ("    once: true", "    once: true\n    restart: always", "a step that has ended with 0 is not started again"),
        ("restart: on-failure:3", "restart: sometimes", "services.store.restart"),
        ("service: app, ", "service: ap, ", "entry.service: no service 'ap'; did you mean 'app'?"),
        ("service: app, ", "service: prepare, ", "prepare is a step, which answers no requests"),
        ("service: app, ", "service: store, ", "entry.service: store has no port"),
        ("request: {path: /read}", "model: net.onnx, request: {path: /read}", "give either entry.model or"),
        ("{service: app, request: {path: /read}}", "app", "entry: nothing to send"),
        ("name: shop", "name: Our shop", "name: "),
    ],
)
def test_a_stack_that_does_not_fit_together_is_refused_with_one_line(
    directory: Path, old: str, new: str, words: str
) -> None:
    assert words in refused(directory, old, new)


def test_each_service_is_served_in_its_own_release(directory: Path) -> None:
    text = STACK.replace("cpus: 2", "runtime: 1.16.3") + "  second:\n    models: [net.onnx]\n"
    services = resolved(directory, text).services
    releases = {name: services[name].runtime for name in ("detector", "second")}
    assert [str(release) for release in releases.values()] == [
        "ONNX Runtime 1.16.3",
        str(runtime_releases.of_board(profiles.load("jetson-nano"), None).release),
    ]
    images = rendered(directory, text)["services"]
    assert "ort1.16.3" in images["detector"]["image"]
    assert images["detector"]["image"] != images["second"]["image"]
    assert resolved(directory).services["store"].runtime is None


def test_a_service_starts_behind_all_that_it_waits_for(directory: Path) -> None:
    stack = stack_loader.read(write(directory, STACK.replace("    once: true", "    once: true\n    after: [store]")))
    order = list(stack.order)
    assert order.index("store") < order.index("prepare") < order.index("app")
    assert stack.waits("app") == {"detector": "healthy", "store": "healthy", "prepare": "completed"}


def test_the_compose_file_says_all_that_the_stack_does(directory: Path) -> None:
    found = rendered(directory, labels={"edgesim.stack": "shop"})
    detector, store, app = (found["services"][name] for name in ("detector", "store", "app"))
    assert found["name"] == "edgesim-shop"
    assert {service["cgroup_parent"] for service in found["services"].values()} == {"/edgesim/shop"}
    assert (detector["mem_limit"], detector["memswap_limit"]) == (1 << 30, 1 << 30)
    assert (detector["cpu_quota"], detector["cpu_period"]) == (20_000, 10_000)
    assert detector["command"][-1] == "--model=net"
    assert detector["command"][detector["command"].index("--intra-op-threads") + 1] == "2"
    (model,) = detector["volumes"]
    assert (model["source"], model["target"]) == (str(directory / "net.onnx"), "/models/net/1/model.onnx")
    assert model["read_only"] is True
    assert model["bind"]["create_host_path"] is False
    assert store["mem_limit"] == 4187590656, "without a limit of its own it has the board's"
    assert store["command"][-1] == "$$5", "or Compose would take it for a variable"
    assert store["restart"] == "on-failure:3"
    assert store["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    assert (store["read_only"], store["cap_drop"]) == (True, ["ALL"])
    assert store["volumes"] == [{"type": "volume", "source": "data", "target": "/data", "read_only": False}]
    assert app["depends_on"] == {
        "detector": {"condition": "service_healthy"},
        "store": {"condition": "service_healthy"},
        "prepare": {"condition": "service_completed_successfully"},
    }
    assert app["environment"] == {"QEMU_CPU": "cortex-a57", "OMP_NUM_THREADS": "4", "LEVEL": "3"}
    assert app["ports"] == [{"target": 8080, "host_ip": "127.0.0.1", "protocol": "tcp", "published": "18080"}]
    assert app["platform"] == "linux/arm64"
    assert "cap_drop" not in app, "another's image may begin as root"
    assert found["volumes"] == {"data": {"labels": {"edgesim.stack": "shop"}}}


def test_a_run_of_its_own_takes_any_port(directory: Path) -> None:
    assert "published" not in rendered(directory, any_port=True)["services"]["app"]["ports"][0]


def test_files_are_relabelled_where_the_engine_holds_containers_to_labels(directory: Path) -> None:
    (model,) = rendered(directory, relabel=True)["services"]["detector"]["volumes"]
    assert model["bind"]["selinux"] == "z"


def test_models_in_a_volume_are_in_one_that_is_named_after_them(directory: Path) -> None:
    found = rendered(directory, STACK.replace("cpus: 2", "mount: volume"))
    (mount,) = found["services"]["detector"]["volumes"]
    assert mount == {"type": "volume", "source": mount["source"], "target": "/models", "read_only": True}
    assert found["volumes"][mount["source"]] == {"external": True, "name": mount["source"]}


def test_check_of_edgesims_own_server_has_no_spaces_at_which_podman_would_split_it(directory: Path) -> None:
    (kind, *words) = rendered(directory)["services"]["detector"]["healthcheck"]["test"]
    assert kind == "CMD"
    assert not [word for word in words if " " in word]


def test_another_program_in_the_serving_image_has_the_models_and_no_server(directory: Path) -> None:
    service = rendered(directory, STACK.replace("cpus: 2", "entrypoint: [python3.11, /x.py]\n    once: true"))
    detector = service["services"]["detector"]
    assert (detector["entrypoint"], "command" in detector) == (["python3.11", "/x.py"], False)
    assert "healthcheck" not in detector


def test_overcommitted_memory_is_said_and_not_refused(directory: Path) -> None:
    assert resolved(directory).overcommit is None
    both = STACK.replace("memory: 1 GiB", "memory: 3 GiB").replace(
        "    port: 8080", "    port: 8080\n    memory: 2 GiB"
    )
    overcommit = resolved(directory, both).overcommit
    assert overcommit is not None
    assert "add up to 5.0 GiB, 1.1 GiB more than the board has" in overcommit


def test_what_the_board_has_and_this_host_has_not_is_said(directory: Path) -> None:
    found = resolved(directory, host_cores=2)
    assert found.limits.cpus == 2
    assert found.services["app"].cpus == 2
    assert any(shortfall.startswith("cores: the board has 4, this host has 2") for shortfall in found.shortfalls)


def test_a_stack_without_a_name_has_its_file_s_or_its_directory_s(directory: Path) -> None:
    nameless = STACK.replace("name: shop\n", "")
    assert stack_loader.read(write(directory, nameless)).name == "shop"
    (directory / "stack.yaml").write_text(nameless)
    assert stack_loader.read(directory / "stack.yaml").name == directory.name.lower()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_are_valid_also_by_the_schema_for_editors(path: Path) -> None:
    assert stack_loader.is_stack(path)
    stack = stack_loader.read(path)
    assert stack.name == path.parent.name
    jsonschema.validate(YAML(typ="safe").load(path.read_text()), stack_loader.json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"a": {"imagee": "x"}}, "profile": "p"}, stack_loader.json_schema())


def test_proxies_of_the_users_configuration_are_taken_out_of_services_that_set_none(directory: Path) -> None:
    services = rendered(directory, proxies={"HTTP_PROXY": "http://p:1", "no_proxy": "x"})["services"]
    assert all(service["environment"]["HTTP_PROXY"] == "" for service in services.values())
    own = STACK.replace("once: true", "once: true\n    environment: {HTTP_PROXY: http://p:1}", 1)
    assert rendered(directory, own, proxies={"HTTP_PROXY": "http://p:1"})["services"]["prepare"]["environment"] == {
        **rendered(directory)["services"]["prepare"].get("environment", {}),
        "HTTP_PROXY": "http://p:1",
    }
    assert "HTTP_PROXY" not in str(rendered(directory))


ON_GPU = STACK.replace("    cpus: 2", "    cpus: 2\n    gpus: all\n    target: gpu:tensorrt-fp32")


def test_a_service_has_the_gpus_and_runs_its_models_in_the_precision_of_its_target(directory: Path) -> None:
    detector, app = (rendered(directory, ON_GPU)["services"][name] for name in ("detector", "app"))
    assert detector["command"][detector["command"].index("--gpus") + 1] == "fp32"
    (device,) = detector["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"count": "all", "capabilities": ["gpu"]}
    assert detector["group_add"] == ["44"]
    assert detector["environment"]["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert not {"deploy", "runtime", "group_add"} & set(app), "each service has GPUs for itself"
    assert "--gpus" not in rendered(directory)["services"]["detector"]["command"]


def test_compose_gives_gpus_as_the_engine_does(directory: Path) -> None:
    nvidia = gpus.reported({"Runtimes": {"nvidia": {}}})
    by_runtime = rendered(directory, ON_GPU, gpus=nvidia)["services"]["detector"]
    assert by_runtime["runtime"] == "nvidia"
    assert "deploy" not in by_runtime
    cdi = gpus.reported({"DiscoveredDevices": [{"ID": "nvidia.com/gpu=0"}]})
    (device,) = rendered(directory, ON_GPU, gpus=cdi)["services"]["detector"]["deploy"]["resources"]["reservations"][
        "devices"
    ]
    assert device == {"driver": "cdi", "device_ids": ["nvidia.com/gpu=all"], "capabilities": ["gpu"]}


@pytest.mark.parametrize(
    ("keys", "precision"),
    [("gpus: all", "fp16"), ("gpus: all, target: cpu", None), ("gpus: none", None), ("target: cpu", None)],
)
def test_a_server_without_a_target_runs_models_on_the_gpu_that_it_has(
    directory: Path, keys: str, precision: str | None
) -> None:
    text = STACK.replace("    cpus: 2", "".join(f"    {key}\n" for key in keys.split(", ")))
    assert resolved(directory, text).services["detector"].precision == precision


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("gpus: all\n    target: gpu:tensorrt-fp17", "no such target; it has cpu, gpu:tensorrt-fp16"),
        ("target: gpu:tensorrt-fp16", "a stack is never scaled, and this service runs models on the board's processor"),
        ("gpus: none\n    target: gpu:tensorrt-fp16", "services.detector.target: gpu:tensorrt-fp16: a stack is never"),
        ("gpus: two", "services.detector.gpus"),
        ("target: cpu\n    entrypoint: [python3]", "services.detector.target: is for edgesim's own server"),
    ],
)
def test_a_target_that_a_service_cannot_have_is_refused_with_one_line(directory: Path, keys: str, words: str) -> None:
    with pytest.raises(StackError) as caught:
        resolved(directory, STACK.replace("cpus: 2", keys))
    assert caught.value.exit_code == ExitCode.USAGE
    assert words in caught.value.problem
    assert "\n" not in caught.value.problem


def test_gpus_of_an_emulated_stack_are_refused_before_the_engine_is_asked() -> None:
    engine: Any = None
    with pytest.raises(HostError, match=r"services\.net\.gpus: this stack is emulated") as caught:
        gpu_services.access(["net"], "emulated", engine)
    assert "gpus: none" in str(caught.value.fix)
    assert gpu_services.access([], "emulated", engine) is None
