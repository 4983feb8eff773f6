"""Programs that use what some cores have not: they die under edgesim as on such a board, and it is said of what."""

import json
import subprocess

import pytest

from tests.integration.conftest import edgesim

pytestmark = [pytest.mark.emulation, pytest.mark.usefixtures("nothing_left_behind")]

PROGRAMS = {
    "asimddp": 0x4E829420,  # sdot v0.4s, v1.16b, v2.16b
    "asimdhp": 0x4E421420,  # fadd v0.8h, v1.8h, v2.8h
    "atomics": 0xF821001F,  # stadd x1, [x0]
    "sve": 0x04A20020,  # add z0.s, z1.s, z2.s
}
# A function of one instruction and a return, at the address of a page; x0 points at a number that may be changed.
SCRIPT = """
import ctypes, mmap, os, struct, sys
from edgesim_server import illegal_instruction
for name, word in {programs!r}.items():
    if os.fork() == 0:
        illegal_instruction.install_handler()
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(struct.pack("<II", word, 0xD65F03C0))
        number = ctypes.c_uint64(1)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(number))
        os._exit(0)
    _, status = os.wait()
    print(name, -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)
"""


@pytest.mark.parametrize(
    ("core", "lacking"),
    [
        ("cortex-a57", {"asimddp", "asimdhp", "atomics", "sve"}),
        ("cortex-a76", {"sve"}),
        ("neoverse-v1", set()),
    ],
)
def test_an_instruction_that_the_core_lacks_ends_the_program_by_name(core: str, lacking: set[str]) -> None:
    image = json.loads(edgesim("build", "jetson-nano", "--json").stdout)["reference"]
    command = ["docker", "run", "--rm", "--label", "edgesim", "--platform", "linux/arm64", "--env", f"QEMU_CPU={core}"]
    done = subprocess.run(
        [*command, "--entrypoint", "python3.11", image, "-c", SCRIPT.format(programs=PROGRAMS)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    ended = {name: int(code) for name, code in (line.split() for line in done.stdout.splitlines())}
    assert ended == {name: -4 if name in lacking else 0 for name in PROGRAMS}
    for name in PROGRAMS:
        assert (f"of the extension {name}: this core does not have it" in done.stderr) is (name in lacking)


def test_the_image_is_the_board_s_core_wherever_it_runs() -> None:
    built = {name: json.loads(edgesim("build", name, "--json").stdout) for name in ("jetson-nano", "raspberry-pi-5")}
    assert built["jetson-nano"]["id"] != built["raspberry-pi-5"]["id"]
    script = "print([l for l in open('/proc/cpuinfo') if l.startswith('Features')][0])"
    for name, has_dot_product in (("jetson-nano", False), ("raspberry-pi-5", True)):
        command = [
            "docker",
            "run",
            "--rm",
            "--label",
            "edgesim",
            "--platform",
            "linux/arm64",
            "--entrypoint",
            "python3.11",
        ]
        features = subprocess.check_output([*command, built[name]["reference"], "-c", script], text=True)
        assert ("asimddp" in features) is has_dot_product
