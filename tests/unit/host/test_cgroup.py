"""Readings and limits from control groups of version 1 and 2, made up and recorded."""

import json
import shutil
from pathlib import Path

import pytest

from edgesim.engine import api_stats
from edgesim.host import cgroup
from edgesim.host.cgroup import Cgroup
from edgesim.host.limit_values import LimitValues
from edgesim.recording import Reading


def host(directory: Path, *, cgroup: str, mounts: list[str]) -> Path:
    proc = directory / "proc"
    for process in ("7", "self"):
        (proc / process).mkdir(parents=True)
    (proc / "7" / "cgroup").write_text(cgroup)
    (proc / "self" / "mountinfo").write_text("\n".join(mounts))
    return proc


def write(directory: Path, **files: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)


def test_version_2_is_read(tmp_path: Path) -> None:
    mounts = [f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw"]
    proc = host(tmp_path, cgroup="0::/docker/abc\n", mounts=mounts)
    write(
        tmp_path / "cg" / "docker" / "abc",
        memory__max="1000",
        memory__current="300",
        memory__peak="400",
        memory__events="low 0\noom 1\noom_kill 2\n",
        cpu__stat="usage_usec 2500000\nnr_throttled 3\nthrottled_usec 500000\n",
    )
    group = Cgroup.of_process(7, proc)
    assert group is not None
    reading = group.read()
    assert (reading.cpu_seconds, reading.throttled_s, reading.oom_kills) == (2.5, 0.5, 2)
    assert (reading.memory_bytes, reading.memory_peak_bytes) == (300, 400)
    assert reading.memory_peak_source == "cgroup v2 memory.peak"


def test_version_1_is_read_even_if_version_2_is_mounted_beside_it(tmp_path: Path) -> None:
    mounts = [
        f"30 1 0:26 / {tmp_path}/memory rw - cgroup cgroup rw,memory",
        f"31 1 0:27 / {tmp_path}/cpu rw - cgroup cgroup rw,cpu,cpuacct",
        f"32 1 0:28 / {tmp_path}/unified rw - cgroup2 cgroup2 rw",
    ]
    proc = host(tmp_path, cgroup="4:memory:/d/abc\n3:cpu,cpuacct:/d/abc\n0::/d/abc\n", mounts=mounts)
    write(
        tmp_path / "memory" / "d" / "abc",
        memory__usage_in_bytes="300",
        memory__max_usage_in_bytes="400",
        memory__oom_control="under_oom 0\noom_kill 1\n",
    )
    write(
        tmp_path / "cpu" / "d" / "abc",
        cpuacct__usage="2500000000",
        cpu__stat="nr_periods 1\nthrottled_time 500000000\n",
    )
    group = Cgroup.of_process(7, proc)
    assert group is not None
    assert group.version == 1
    reading = group.read()
    assert (reading.cpu_seconds, reading.throttled_s, reading.oom_kills) == (2.5, 0.5, 1)
    assert reading.memory_peak_source == "cgroup v1 memory.max_usage_in_bytes"


def test_value_that_the_kernel_does_not_report_is_none_and_never_zero(tmp_path: Path) -> None:
    mounts = [f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw"]
    proc = host(tmp_path, cgroup="0::/abc\n", mounts=mounts)
    write(tmp_path / "cg" / "abc", memory__max="max", memory__current="300")
    group = Cgroup.of_process(7, proc)
    assert group is not None
    reading = group.read()
    assert reading.memory_peak_bytes is None
    assert reading.memory_peak_source is None
    assert reading.cpu_seconds is None
    assert reading.oom_kills is None


def test_missing_process_has_no_group(tmp_path: Path) -> None:
    assert Cgroup.of_process(1, tmp_path) is None


# --- recorded trees ---------------------------------------------------------------------------------------------------

DATA = Path(__file__).parents[2] / "data"


def recorded(name: str, directory: Path) -> Cgroup:
    """Return the group of a recorded tree, laid out as on its host, with the mount point moved into `directory`."""
    source, proc = DATA / f"cgroup-v2-{name}", directory / "proc"
    path = (source / "proc" / "cgroup").read_text()
    mounts = (source / "proc" / "mountinfo").read_text().replace("/sys/fs/cgroup", f"{directory}/cgroup")
    for process in ("7", "self"):
        (proc / process / "net").mkdir(parents=True)
    (proc / "7" / "cgroup").write_text(path)
    (proc / "7" / "net" / "dev").write_text((source / "proc" / "net_dev").read_text())
    (proc / "self" / "mountinfo").write_text(mounts)
    group = directory / "cgroup" / path.strip().partition("::")[2].lstrip("/")
    shutil.copytree(source / "cgroup", group)
    recorded_group = Cgroup.of_process(7, proc)
    assert recorded_group is not None
    return recorded_group


def test_recorded_container_of_version_2_is_read_completely(tmp_path: Path) -> None:
    group = recorded("steady", tmp_path)
    assert group.version == 2
    assert group.limits() == LimitValues(memory_bytes=64 << 20, cpus=0.5, processes=9515)
    reading = group.read()._replace(at_ns=0)
    assert reading == Reading(
        at_ns=0,
        cpu_seconds=3.005623,
        memory_bytes=17739776,
        memory_peak_bytes=19058688,
        memory_peak_source="cgroup v2 memory.peak",
        throttled_s=2.081356,
        oom_kills=0,
        memory_anon_bytes=106496,
        memory_cache_bytes=16 << 20,
        periods=63,
        throttled_periods=52,
        read_bytes=0,
        written_bytes=16 << 20,
        received_bytes=2526,
        sent_bytes=0,
        processes=2,
        threads=2,
        memory_unreclaimable_bytes=106_496 + 32_768 + 40_960 + 1_328 + 151_768,
    )


@pytest.mark.parametrize(
    ("stat", "unreclaimable"),
    [
        ({"total_rss": 100, "total_cache": 900, "total_active_anon": 60, "total_inactive_anon": 40}, 100),
        # Files on tmpfs are page cache, and cannot be given back.
        ({"total_rss": 100, "total_shmem": 50, "total_active_anon": 110, "total_inactive_anon": 40}, 150),
        # 30 locked: of anonymous memory, which counts once.
        ({"anon": 100, "shmem": 0, "active_anon": 50, "inactive_anon": 20, "unevictable": 30}, 100),
        # 30 locked, all of files.
        ({"anon": 100, "shmem": 0, "active_anon": 60, "inactive_anon": 40, "unevictable": 30}, 130),
        ({"anon": 100, "kernel_stack": 1, "pagetables": 2, "slab_unreclaimable": 4, "slab_reclaimable": 8}, 107),
        ({}, None),
    ],
)
def test_memory_that_cannot_be_given_back_has_locked_pages_and_tmpfs_and_no_page_cache(
    stat: dict[str, int], unreclaimable: int | None
) -> None:
    assert cgroup.unreclaimable(stat) == unreclaimable


def test_recorded_kill_is_counted_though_the_first_process_lives(tmp_path: Path) -> None:
    reading = recorded("killed", tmp_path).read()
    assert reading.oom_kills == 1
    assert reading.memory_peak_bytes == 32 << 20
    assert (reading.read_bytes, reading.written_bytes) == (0, 0), "an empty io.stat: nothing was read or written"


def test_engine_statistics_agree_with_the_files(tmp_path: Path) -> None:
    files = recorded("steady", tmp_path).read()
    reading = api_stats.reading(json.loads((DATA / "cgroup-v2-steady" / "stats.json").read_text()))
    for name in ("cpu_seconds", "memory_bytes", "memory_anon_bytes", "throttled_s", "periods", "written_bytes"):
        assert getattr(reading, name) == getattr(files, name), name
    assert reading.memory_peak_bytes is None, "the engine reports no peak if the kernel has version 2"
    assert reading.oom_kills is None


def test_engine_without_statistics_gives_an_empty_reading() -> None:
    assert set(api_stats.reading({})._replace(at_ns=None)) == {None}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "rates"),
    [
        ({"io.max": "254:0 rbps=25000000 wbps=max riops=max wiops=max\n"}, (25_000_000, None)),
        ({"io.max": "254:0 rbps=max wbps=5 riops=max wiops=max\n"}, (None, 5)),
        ({"blkio.throttle.read_bps_device": "254:0 25000000\n8:0 9000\n"}, (9000, None)),
        ({"blkio.throttle.write_bps_device": "254:0 7000\n"}, (None, 7000)),
        ({"blkio.throttle.read_bps_device": ""}, (None, None)),
    ],
)
def test_storage_rates_are_read_back_from_either_version(
    tmp_path: Path, files: dict[str, str], rates: tuple[int | None, int | None]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    group = Cgroup(version=2 if "io.max" in files else 1, memory=None, cpu=None, cpuacct=None, io=tmp_path)
    limits = group.limits()
    assert (limits.read_bytes_per_s, limits.write_bytes_per_s) == rates


@pytest.mark.parametrize(
    ("group", "parent", "found"),
    [
        # As Docker and Podman without root make the group of a container, on control groups v2.
        ("edgesim.slice/edgesim-x.slice/docker-1f.scope", "edgesim-x.slice", "edgesim.slice/edgesim-x.slice"),
        ("edgesim.slice/edgesim-x.slice/libpod-1f.scope/container", "edgesim-x.slice", "edgesim.slice/edgesim-x.slice"),
        ("edgesim/x/1f", "/edgesim/x", "edgesim/x"),
        ("user.slice/libpod-1f.scope/container", "edgesim-x.slice", None),
    ],
)
def test_group_above_is_found_at_any_depth(tmp_path: Path, group: str, parent: str, found: str | None) -> None:
    path = tmp_path / group
    own = Cgroup(version=2, memory=path, cpu=path, cpuacct=path, io=None, pids=path)
    above = own.above(parent)
    assert (above.memory if above is not None else None) == (tmp_path / found if found is not None else None)
    assert above is None or (above.cpu, above.io) == (above.memory, None)
