"""The program that reads and measures a machine: on made-up trees of files, and on this machine."""

import ast
import os
import sys
from pathlib import Path

import pytest

from edgesim.host import machine_probe

TWO_DESIGNS = "".join(
    f"processor\t: {number}\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n"
    for number, part in enumerate(["0xd05", "0xd05", "0xd0b", "0xd0b"])
)


def write(root: Path, path: str, text: str | bytes) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def test_the_program_stands_alone() -> None:
    """Its text is handed to Python in a container that has nothing of edgesim but the server."""
    tree = ast.parse(Path(machine_probe.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)


def test_texts_have_their_path_on_the_machine_and_not_in_the_container(tmp_path: Path) -> None:
    write(tmp_path, "/proc/cpuinfo", TWO_DESIGNS)
    write(tmp_path, "/sys/firmware/devicetree/base/model", "A Board\0")
    write(tmp_path, "/sys/devices/system/cpu/cpu12/cpufreq/scaling_max_freq", "1479000\n")
    texts = machine_probe.texts(f"{tmp_path}/")
    assert texts["/sys/firmware/devicetree/base/model"] == "A Board\0"
    assert set(texts) == {
        "/proc/cpuinfo",
        "/sys/firmware/devicetree/base/model",
        "/sys/devices/system/cpu/cpu12/cpufreq/scaling_max_freq",
    }


def test_the_c_library_is_the_machines_and_not_the_containers(tmp_path: Path) -> None:
    assert machine_probe.glibc(str(tmp_path)) is None
    banner = b"\x7fELF\0GNU C Library (Ubuntu GLIBC 2.27-3ubuntu1.6) stable release version 2.27.\nCopyright\0"
    write(tmp_path, "/lib/aarch64-linux-gnu/libc.so.6", banner)
    assert machine_probe.glibc(str(tmp_path)) == "2.27"


def test_python_is_the_one_that_the_machines_system_has(tmp_path: Path) -> None:
    assert machine_probe.python(str(tmp_path)) is None
    binaries = tmp_path / "usr" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python3").symlink_to("python3.9")
    assert machine_probe.python(str(tmp_path)) == "3.9"


def test_one_core_of_each_design_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert machine_probe.one_of_each_design(TWO_DESIGNS) == [1, 3]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert machine_probe.one_of_each_design(TWO_DESIGNS) == [1]
    assert machine_probe.one_of_each_design("") == [1]


@pytest.mark.parametrize(
    ("name", "files", "kind"),
    [
        ("mmcblk0", {"size": "62333952", "device/type": "SD", "device/name": "SC32G"}, "32 GB SD card (SC32G)"),
        ("mmcblk0", {"size": "30777344", "device/type": "MMC", "device/name": "R1J56L"}, "16 GB eMMC (R1J56L)"),
        ("nvme0n1", {"size": "1953525168", "device/model": "Samsung SSD 980 "}, "1000 GB NVMe SSD (Samsung SSD 980)"),
        ("sda", {"size": "1953525168", "queue/rotational": "1"}, "1000 GB hard disk"),
        ("sda", {"queue/rotational": "0"}, "SSD"),
        ("vda", {"size": "536870912"}, "275 GB virtual disk"),
    ],
)
def test_a_disk_is_named_by_its_kind_for_a_partition_too(
    name: str, files: dict[str, str], kind: str, tmp_path: Path
) -> None:
    disk = f"/devices/platform/block/{name}"
    for path, text in files.items():
        write(tmp_path, f"{disk}/{path}", f"{text}\n")
    write(tmp_path, f"{disk}/{name}p1/partition", "1\n")
    blocks = tmp_path / "dev" / "block"
    blocks.mkdir(parents=True)
    (blocks / "179:0").symlink_to(tmp_path / disk.lstrip("/"))
    (blocks / "179:1").symlink_to(tmp_path / f"{disk}/{name}p1".lstrip("/"))
    assert machine_probe.disk_kind(os.makedev(179, 0), str(tmp_path)) == kind
    assert machine_probe.disk_kind(os.makedev(179, 1), str(tmp_path)) == kind
    assert machine_probe.disk_kind(os.makedev(0, 42), str(tmp_path)) is None


def test_this_machine_is_measured_and_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_probe, "_MEASURING_S", 0.01)
    monkeypatch.setattr(machine_probe, "_CLOCK_UP_S", 0.0)
    monkeypatch.setattr(machine_probe, "_FILE_BYTES", 1 << 20)
    monkeypatch.setattr(machine_probe, "_LEAST_BUFFER_BYTES", 1 << 20)
    monkeypatch.setattr(machine_probe, "_MOST_BUFFER_BYTES", 1 << 20)
    before = os.sched_getaffinity(0)
    survey = machine_probe.survey("/", str(tmp_path))
    assert survey["architecture"] == os.uname().machine
    bandwidth = survey["bandwidth"]
    assert isinstance(bandwidth, list)
    for key in ("copy_bytes_per_s", "fill_bytes_per_s", "read_bytes_per_s"):
        assert bandwidth[0][key] > 10**7, "10 MB/s: slower than any machine"
    storage = survey["storage"]
    assert isinstance(storage, dict)
    assert (storage["read_bytes_per_s"] is None) == (storage["problem"] is not None)
    assert os.sched_getaffinity(0) == before
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    storage = machine_probe.storage(str(tmp_path / "missing"))
    assert storage == {"kind": None, "read_bytes_per_s": None, "problem": "No such file or directory"}
