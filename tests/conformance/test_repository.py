"""Models that are loaded, unloaded or changed on disk while the server runs."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.conformance.test_infer import infer_input
from tests.support.serving import Server, external, identity, running_server, save, scale
from tests.support.waiting import eventually

ONE = np.ones(1, np.float32)


@contextmanager
def served(repository: Path, *options: str) -> Iterator[tuple[Server, triton.InferenceServerClient]]:
    with running_server(repository, *options) as server:
        client = triton.InferenceServerClient(server.address)
        yield server, client
        client.close()


def factor(client: triton.InferenceServerClient, model: str = "m", version: str = "") -> float:
    return float(client.infer(model, [infer_input("x", ONE)], model_version=version).as_numpy("y")[0])


def state(client: triton.InferenceServerClient, model: str = "m") -> list[tuple[str, str]]:
    index = client.get_model_repository_index()
    return [(entry["version"], entry["state"]) for entry in index if entry["name"] == model]


# --- load and unload requests --------------------------------------------------------------------------------------


def test_changes_on_disk_are_served_after_a_load_request_and_not_before(repository: Path) -> None:
    save(scale(1), repository, "m")
    with served(repository) as (_, client):
        save(scale(2), repository, "m")
        save(scale(3), repository, "new")
        assert factor(client) == 1
        assert not client.is_model_ready("new")
        client.load_model("m")
        client.load_model("new")
        assert factor(client) == 2
        assert factor(client, "new") == 3


def test_unloaded_model_is_refused_until_it_is_loaded_again(repository: Path) -> None:
    save(scale(1), repository, "m")
    with served(repository) as (_, client):
        client.unload_model("m")
        assert not client.is_model_ready("m")
        assert state(client) == [("1", "UNAVAILABLE")]
        with pytest.raises(InferenceServerException, match="model 'm' version 1 is not loaded: unloaded"):
            factor(client)
        client.load_model("m")
        assert factor(client) == 1


def test_load_request_may_carry_a_configuration(repository: Path) -> None:
    save(identity(shape=(None, 2)), repository, "m")
    with served(repository) as (_, client):
        client.load_model("m", config='{"max_batch_size": 4}')
        assert client.get_model_config("m")["max_batch_size"] == 4
        with pytest.raises(InferenceServerException, match='no field named "gpus"'):
            client.load_model("m", config='{"instance_group": [{"gpus": [0]}]}')
        assert client.is_model_ready("m")


def test_load_request_may_carry_a_model_which_the_next_load_replaces(repository: Path) -> None:
    save(scale(1), repository, "m")
    with served(repository) as (_, client):
        files = {"file:1/model.onnx": scale(6).SerializeToString(), "file:2/model.onnx": scale(7).SerializeToString()}
        client.load_model("m", config="{}", files=files)
        assert [factor(client, version=version) for version in ("1", "2", "")] == [6, 7, 7]
        client.load_model("elsewhere", config="{}", files={"file:1/model.onnx": files["file:1/model.onnx"]})
        assert factor(client, "elsewhere") == 6
        with pytest.raises(InferenceServerException, match="model 'm' does not load"):
            client.load_model("m", config="{}", files={"file:2/model.onnx": b"no model"})
        with pytest.raises(InferenceServerException, match="only 'config' and 'file:VERSION"):
            client.load_model("m", config="{}", files={"file:1/weights.bin": b""})
        assert factor(client) == 7
        client.load_model("m")
        assert state(client) == [("1", "READY")]
        assert factor(client) == 1


def test_unknown_model_can_be_neither_loaded_nor_unloaded(repository: Path) -> None:
    save(scale(1), repository, "m")
    with served(repository) as (_, client):
        with pytest.raises(InferenceServerException, match="no model 'n' in the repository"):
            client.load_model("n")
        with pytest.raises(InferenceServerException, match="model 'n' is not served here"):
            client.unload_model("n")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("config.yaml", "max_batch: 4", "unknown field 'max_batch'; did you mean 'max_batch_size'?"),
        ("config.yaml", "intra_op_threads: 64", "intra_op_threads: 64 is more than the board's 1"),
        ("config.yaml", "execution_mode: fast", "execution_mode: 'fast' is not one of sequential, parallel"),
        ("config.yaml", "dynamic_batching: true", "dynamic_batching: needs max_batch_size"),
        ("config.yaml", "max_batch_size: [", "config.yaml: not YAML"),
        ("config.yaml", "labels: {y: nowhere.txt}", "label_filename 'nowhere.txt'"),
        ("config.yaml", "max_batch_size: 4\n", "input 'x' has shape [3]; its first dimension must be open"),
        ("config.pbtxt", "sequence_batching {}", 'no field named "sequence_batching"'),
        ("config.pbtxt", 'name: "other"', "name: 'other'; expected 'm', the directory's"),
        ("config.pbtxt", 'input { name: "z" }', "input 'z': the model has 'x'"),
        ("config.pbtxt", 'input { name: "x" data_type: TYPE_INT8 }', "data_type INT8; the model's is FP32"),
        ("config.pbtxt", 'input { name: "x" dims: [4] }', "dims [4]; the model's are [3]"),
        ("config.pbtxt", "instance_group { count: 2 }", "instance_group.count: 2; expected 1"),
        ("config.pbtxt", 'parameters { key: "x" value { string_value: "1" } }', "parameters: unknown key 'x'"),
    ],
)
def test_wrong_configuration_is_the_reason_why_a_model_is_unavailable(
    repository: Path, name: str, text: str, words: str
) -> None:
    save(scale(1, shape=(3,)), repository, "m")
    (repository / "m" / name).write_text(text)
    save(scale(1), repository, "other")
    with served(repository) as (_, client):
        (entry,) = [entry for entry in client.get_model_repository_index() if entry["name"] == "m"]
        assert entry["state"] == "UNAVAILABLE"
        assert words in entry["reason"]
        assert factor(client, "other") == 1


def test_session_options_and_versions_come_from_the_configuration(repository: Path) -> None:
    for version in (1, 2, 3):
        save(scale(version), repository, "m", version)
    (repository / "m" / "config.yaml").write_text(
        "graph_optimization_level: basic\nexecution_mode: parallel\nenable_cpu_mem_arena: false\n"
        "enable_mem_pattern: false\nintra_op_threads: 2\ninter_op_threads: 2\nversion_policy: {latest: 2}\n"
    )
    with served(repository, "--intra-op-threads", "4") as (_, client):
        assert state(client) == [("2", "READY"), ("3", "READY")]
        config = client.get_model_config("m")
        assert config["version_policy"] == {"latest": {"num_versions": 2}}
        assert config["optimization"]["graph"]["level"] == -1
        assert {key: value["string_value"] for key, value in config["parameters"].items()} == {
            "execution_mode": "1",
            "enable_mem_arena": "0",
            "enable_mem_pattern": "0",
        }
        assert factor(client) == 3


# --- watched changes on disk ---------------------------------------------------------------------------------------


def test_new_replaced_and_removed_models_and_versions_are_noticed(repository: Path) -> None:
    save(scale(1), repository, "m")
    with served(repository, "--watch") as (_, client):
        save(scale(2), repository, "m", 2)
        eventually(lambda: factor(client) == 2)
        assert factor(client, version="1") == 1
        save(scale(5), repository, "m", 2)
        eventually(lambda: factor(client) == 5)
        save(scale(7), repository, "new")
        eventually(lambda: client.is_model_ready("new"))
        assert factor(client, "new") == 7
        shutil.rmtree(repository / "m" / "2")
        eventually(lambda: factor(client) == 1)
        shutil.rmtree(repository / "new")
        eventually(lambda: state(client, "new") == [])
        (repository / "m" / "config.yaml").write_text("version_policy: {specific: [9]}\n")
        eventually(lambda: not client.is_model_ready("m"))


def test_broken_file_is_in_the_index_and_the_loaded_version_still_answers(repository: Path) -> None:
    path = save(scale(1), repository, "m")
    content = path.read_bytes()
    with served(repository, "--watch") as (_, client):
        path.write_bytes(content[: len(content) // 2])
        eventually(lambda: ("1", "UNAVAILABLE") in state(client))
        (broken,) = [e for e in client.get_model_repository_index() if e["state"] == "UNAVAILABLE"]
        assert broken["reason"]
        assert factor(client) == 1
        path.write_bytes(scale(4).SerializeToString())
        eventually(lambda: factor(client) == 4)
        assert state(client) == [("1", "READY")]


def test_file_is_loaded_once_it_is_completely_written(repository: Path) -> None:
    path = save(scale(1), repository, "m")
    content = save(scale(2), repository.parent / "elsewhere", "m").read_bytes()
    with served(repository, "--watch") as (_, client):
        with path.open("wb") as file:
            for begin in range(0, len(content), 16):
                file.write(content[begin : begin + 16])
                file.flush()
                time.sleep(0.1)
                assert factor(client) == 1
        eventually(lambda: factor(client) == 2)


def test_weights_overwritten_in_place_do_not_end_the_server(repository: Path) -> None:
    """ONNX Runtime maps files of weights into memory, where a file cut short would end the process."""
    values = np.ones(65536, np.float32)

    def last_value(client: triton.InferenceServerClient) -> float:
        return float(client.infer("m", [infer_input("x", values)]).as_numpy("y")[-1])

    path = external(repository, "m", 1)
    other = external(repository.parent / "elsewhere", "m", 2)
    with served(repository, "--watch") as (_, client):
        assert last_value(client) == 1
        (path.parent / "weights.bin").write_bytes(b"")
        for _ in range(20):
            assert last_value(client) == 1
            time.sleep(0.1)
        shutil.copyfile(other.parent / "weights.bin", path.parent / "weights.bin")
        eventually(lambda: last_value(client) == 2)


@pytest.mark.parametrize("count", [10, pytest.param(50, marks=pytest.mark.long)])
def test_replacing_a_model_under_load_fails_no_request(repository: Path, count: int) -> None:
    save(scale(0), repository, "m")
    with served(repository, "--watch") as (server, client):
        stopped, failures, answers = threading.Event(), [], set()

        def send_requests() -> None:
            thread_client = triton.InferenceServerClient(server.address)
            while not stopped.is_set():
                try:
                    answers.add(factor(thread_client))
                except InferenceServerException as error:
                    failures.append(str(error))
            thread_client.close()

        threads = [threading.Thread(target=send_requests) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for i in range(1, count + 1):
                save(scale(i), repository, "m")
                eventually(lambda i=i: factor(client) == i)  # type: ignore[misc]
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
        assert failures == []
        assert len(answers) > count // 2
        assert server.memory_bytes() < 400 << 20
