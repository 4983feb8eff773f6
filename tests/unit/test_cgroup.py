from pathlib import Path

from edgesim.device.cgroup import Cgroup


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
        memory__max="1000", memory__current="300", memory__peak="400", memory__events="low 0\noom 1\noom_kill 2\n",
        cpu__stat="usage_usec 2500000\nnr_throttled 3\nthrottled_usec 500000\n",
    )  # fmt: skip
    group = Cgroup.of_process(7, proc)
    assert group is not None
    reading = group.read()
    assert (reading.cpu_seconds, reading.throttled_s, reading.oom_kills) == (2.5, 0.5, 2)
    assert (reading.memory_bytes, reading.memory_peak_bytes) == (300, 400)
    assert reading.memory_peak_source == "cgroup v2 memory.peak"


def test_version_1_is_read_even_where_version_2_is_mounted_beside_it(tmp_path: Path) -> None:
    mounts = [
        f"30 1 0:26 / {tmp_path}/memory rw - cgroup cgroup rw,memory",
        f"31 1 0:27 / {tmp_path}/cpu rw - cgroup cgroup rw,cpu,cpuacct",
        f"32 1 0:28 / {tmp_path}/unified rw - cgroup2 cgroup2 rw",
    ]
    proc = host(tmp_path, cgroup="4:memory:/d/abc\n3:cpu,cpuacct:/d/abc\n0::/d/abc\n", mounts=mounts)
    write(
        tmp_path / "memory" / "d" / "abc",
        memory__usage_in_bytes="300", memory__max_usage_in_bytes="400", memory__oom_control="under_oom 0\noom_kill 1\n",
    )  # fmt: skip
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


def test_what_a_kernel_does_not_tell_is_none_and_never_zero(tmp_path: Path) -> None:
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


def test_a_process_that_is_not_there_has_no_group(tmp_path: Path) -> None:
    assert Cgroup.of_process(1, tmp_path) is None
