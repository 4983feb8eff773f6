"""Counted instructions, with the real emulator and its plugin: exact for programs whose instructions are known."""

import json
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgesim.counting import emulator
from edgesim.counting.counter import Counter
from edgesim.counting.counts import Counts
from edgesim.counting.emulator import MOUNT_POINT, SOCKET, SOCKET_DIRECTORY, CountingEmulator
from edgesim.errors import EmulatorMissing
from tests.integration.conftest import edgesim
from tests.support.waiting import eventually

pytestmark = [pytest.mark.emulation]

_LOAD_ADDRESS, _HEADERS_BYTES = 0x400000, 120
_MARK_SYSCALL = 0x65646765
_MAKE_ROOM = 0xD10203FF  # sub sp, sp, #128
# read(0, sp, 1); exit(0)
_READ_ONE_BYTE_AND_EXIT = (
    *(0xD2800000, 0x910003E1, 0xD2800022, 0xD28007E8, 0xD4000001),
    *(0xD2800000, 0xD2800BA8, 0xD4000001),
)
_TURNS = 1000


@pytest.fixture(scope="module")
def counting() -> CountingEmulator:
    try:
        return emulator.find()
    except EmulatorMissing as error:
        if os.environ.get("EDGESIM_REQUIRE_COUNTING"):  # make test-long has made the emulator before
            pytest.fail(f"{error.problem}: {error.fix}", pytrace=False)
        # Making the emulator takes 4 minutes of 2 cores, too long for the suite of every change.
        pytest.skip(f"{error.problem}: {error.fix}")


def program(body: list[int]) -> bytes:
    """Return a static arm64 program: a mark, `_TURNS` turns of `body`, a mark; then it waits for a byte and ends."""
    back = (-(len(body) + 1)) & 0x7FFFF
    code = [
        _MAKE_ROOM,
        *_mark(3),
        0xD2800009 | _TURNS << 5,  # mov x9, #_TURNS
        *body,
        0xF1000529,  # subs x9, x9, #1
        0x54000001 | back << 5,  # b.ne, to the beginning of `body`
        *_mark(4),
        *_READ_ONE_BYTE_AND_EXIT,
    ]
    size = _HEADERS_BYTES + 4 * len(code)
    entry = _LOAD_ADDRESS + _HEADERS_BYTES
    header = struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8) + header + segment + struct.pack(f"<{len(code)}I", *code)


def _mark(kind: int) -> list[int]:
    low, high = _MARK_SYSCALL & 0xFFFF, _MARK_SYSCALL >> 16
    return [0xD2800000 | kind << 5, 0xD2800008 | low << 5, 0xF2A00008 | high << 5, 0xD4000001]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param([0x4E20CC01], Counts(vector=1), id="fmla v1.4s, v0.4s, v0.4s"),
        pytest.param([0x3DC003E0], Counts(vector_memory=1, loaded_bytes=16), id="ldr q0, [sp]"),
        pytest.param([0xAD0007E0], Counts(vector_memory=1, stored_bytes=32), id="stp q0, q1, [sp]"),
        pytest.param([0x4C402FE0], Counts(vector_memory=1, loaded_bytes=64), id="ld1 {v0-v3.2d}, [sp]"),
        pytest.param([0x4D40CBE0], Counts(vector_memory=1, loaded_bytes=4), id="ld1r {v0.4s}, [sp]"),
        pytest.param([0xF90003E1], Counts(scalar_memory=1, stored_bytes=8), id="str x1, [sp]"),
        pytest.param([0x394003E1], Counts(scalar_memory=1, loaded_bytes=1), id="ldrb w1, [sp]"),
        pytest.param([0xA94013E3], Counts(scalar_memory=1, loaded_bytes=16), id="ldp x3, x4, [sp]"),
        pytest.param([0xC85F7FE3], Counts(scalar_memory=1, loaded_bytes=8), id="ldxr x3, [sp]"),
        pytest.param([0xF98003E0], Counts(scalar_memory=1), id="prfm pldl1keep, [sp]"),
        pytest.param([0x14000001], Counts(branches=1), id="b to the next instruction"),
        pytest.param([0x8B010063], Counts(scalar=1), id="add x3, x3, x1"),
        pytest.param([0xD503201F], Counts(scalar=1), id="nop"),
    ],
)
def test_every_instruction_of_a_known_program_is_counted_by_its_class(
    counting: CountingEmulator, tmp_path: Path, body: list[int], expected: Counts
) -> None:
    path = tmp_path / "program"
    path.write_bytes(program(body))
    path.chmod(0o755)
    home = counting.directory
    command = [home / "loader", "--library-path", home / "lib", home / "qemu-aarch64", "-plugin"]
    process = subprocess.Popen(
        [*map(str, command), f"{home / 'count.so'},socket={SOCKET}", str(path)], stdin=subprocess.PIPE, cwd=tmp_path
    )
    try:
        counter = Counter(tmp_path)
        eventually(lambda: (tmp_path / SOCKET).exists() and len(counter.marks()) == 2)
        begin, end = counter.marks()
    finally:
        process.communicate(b"x", timeout=30)
    assert process.returncode == 0
    counted = end.own - begin.own
    once = Counts(scalar=_TURNS, branches=_TURNS)  # the loop's own instructions
    around = counted - once - sum([expected] * _TURNS, Counts())
    # What stands between the marks once: the rest of the block with the first mark, the counter's first value, and the
    # instructions up to the second mark.
    assert around.instructions <= 10
    assert (around.vector, around.vector_memory, around.scalar_memory) == (0, 0, 0)
    assert (around.loaded_bytes, around.stored_bytes) == (0, 0)
    assert 0 <= around.branches <= 1


@pytest.fixture(scope="module")
def two_counts(counting: CountingEmulator, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Count the same model twice; return both results."""
    assert counting
    results = []
    for name in ("one.json", "other.json"):
        path = tmp_path_factory.getbasetemp() / name
        done = edgesim("count", "jetson-nano", "digits", "-o", path, timeout=600)
        assert done.returncode == 0, done.stderr
        results.append(json.loads(path.read_text()))
    return results


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left_behind")
def test_two_counts_of_a_model_are_equal_and_its_answers_are_right(two_counts: list[dict[str, Any]]) -> None:
    assert all(result["agreement"]["max_abs_difference"] < 1e-3 for result in two_counts)
    sections = [result["instructions"] for result in two_counts]
    one, other = (section["inference"]["p50"] for section in sections)
    # The model's arithmetic alone is thousands of instructions; the interpreter around it takes some ten thousand.
    assert 10_000 < one < 1_000_000
    assert abs(one / other - 1) < 0.003
    assert sections[0]["request"]["p50"] > one
    assert sections[0]["load"]["p50"] > one
    # What a program's start copies has the length of names that differ from run to run: in one pair of starts the bytes
    # differed by 32 of 670 million.
    for part in ("load", "start"):
        ones, others = ({**section[part], **section[part]["by_class"]} for section in sections)
        for name in ones.keys() - {"by_class"}:
            assert ones[name] == pytest.approx(others[name], rel=1e-6), (part, name)


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left_behind")
def test_counted_program_outlives_its_threads(
    counting: CountingEmulator, two_counts: list[dict[str, Any]], tmp_path: Path
) -> None:
    ends = "import threading; thread = threading.Thread(target=print); thread.start(); thread.join()"
    tmp_path.chmod(0o777)
    loader, *arguments = counting.command(("/usr/bin/python3", "-S", "-c", ends))
    mounts = [f"--volume={counting.directory}:{MOUNT_POINT}:ro", f"--volume={tmp_path}:{SOCKET_DIRECTORY}"]
    options = ["--rm", "--label=edgesim", "--platform=linux/arm64", *mounts, f"--entrypoint={loader}"]
    image = two_counts[0]["image"]["id"]
    done = subprocess.run(["docker", "run", *options, image, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
