"""Estimate the emulator's own share of a device's memory from a server whose model does nothing."""

import hashlib
from dataclasses import replace
from pathlib import Path

import onnx
import orjson
from onnx import TensorProto, helper

from edgesim import paths
from edgesim.boards.board import Board
from edgesim.boards.launch import Launch
from edgesim.boards.start import start
from edgesim.delivery.deliver import model_mounts
from edgesim.errors import EdgesimError
from edgesim.host.cache import new_entry
from edgesim.host.scratch import scratch_directory
from edgesim.models import repository
from edgesim.options import EngineName
from edgesim.progress import Stages
from edgesim.results.sections import EmulatorSection


def emulator_memory(launch: Launch, board: Board, stages: Stages) -> EmulatorSection | None:
    """Return the anonymous memory of a no-op server: emulated in the same image and limits, and as a process here.

    Page cache is not included. The memory is measured once for each image and emulator, and then read from the cache.
    None for a device that is not emulated, for another image's server, on an engine that does not see this host's
    files, or if it cannot be measured.
    """
    if board.execution != "emulated" or not launch.own_server:
        return None
    # An engine that does not see this host's files would keep the no-op model in a volume.
    if launch.machine is not None or board.mount not in (launch.delivery.method, "image"):
        return None
    key = repr((board.server_image, board.host.emulator, launch.profile.emulation, board.intra_op_threads))
    try:
        memory = _memory(hashlib.sha256(key.encode()).hexdigest()[:16], launch, stages)
    except EdgesimError as error:
        stages.note(f"the emulator's own memory cannot be measured: {error.problem}")
        return None
    if memory is None:
        return None
    return EmulatorSection(**memory, share_bytes=max(memory["floor_bytes"] - memory["native_bytes"], 0))


def _memory(key: str, launch: Launch, stages: Stages) -> dict[str, int] | None:
    """Return ``floor_bytes`` and ``native_bytes``, from the cache or measured; None if a reading lacks the memory."""
    entry = paths.cache_directory() / "floors" / key
    if not entry.is_dir():
        with stages.stage("emulator's memory", "starting a server that does nothing, for the emulator's own memory"):
            floor, native = _resident_bytes(launch, "docker"), _resident_bytes(launch, "local")
        if floor is None or native is None:
            return None
        with new_entry(entry, needed_bytes=1 << 20) as scratch:
            (scratch / "floor.json").write_bytes(orjson.dumps({"floor_bytes": floor, "native_bytes": native}))
    memory: dict[str, int] = orjson.loads((entry / "floor.json").read_bytes())
    return memory


def _resident_bytes(launch: Launch, engine: EngineName) -> int | None:
    with scratch_directory() as scratch:
        noop = repository.find(str(_noop(Path(scratch))))
        # Emulated as the board is, even where this host runs the board's programs itself.
        execution = "emulated" if engine == "docker" else None
        changes = {"engine": engine, "execution": execution, "mount": None, "volume": None, "results": None}
        if engine == "local":
            changes["runtime"] = None  # a plain process has the runtime of this host
        changed = replace(
            launch,
            models=[noop],
            mounts=model_mounts(noop, launch.profile.image.mount_point),
            options=launch.options.model_copy(update=changes),
            models_inside=frozenset(),
        )
        with start(changed, Stages()) as board:
            return board.device.read().memory_anon_bytes


def _noop(directory: Path) -> Path:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "noop", [x], [y])
    path = directory / "noop.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    path.chmod(0o644)  # for the container's user, whatever the umask
    return path
