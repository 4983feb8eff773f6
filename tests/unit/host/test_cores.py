"""The cores and the memory that edgesim may use: affinity, limits of either version of control groups, the machine."""

import ast
from pathlib import Path

import pytest

from edgesim.host import cgroup, cores
from edgesim.host.cores import Cores


def host(directory: Path, *, groups: str, mounts: list[str], files: dict[str, str]) -> Path:
    """Lay out the files of a process's control groups, relative to `directory`; return the directory of proc."""
    proc = directory / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(groups)
    (proc / "self" / "mountinfo").write_text("\n".join(mounts) + "\n")
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return proc


def test_quota_of_a_container_of_version_2_is_found_at_its_mount_point(tmp_path: Path) -> None:
    proc = host(
        tmp_path,
        groups="0::/\n",
        mounts=[f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw"],
        files={"cg/cpu.max": "50000 100000\n", "cg/cpu.stat": "nr_throttled 3\nthrottled_usec 1500000\n"},
    )
    assert cgroup.cpu_quota(proc=proc) == 0.5
    assert cgroup.throttled_s(proc=proc) == 1.5


def test_smallest_quota_of_all_groups_above_the_process_counts(tmp_path: Path) -> None:
    proc = host(
        tmp_path,
        groups="0::/kubepods/pod1/ctr\n",
        mounts=[f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw"],
        files={
            "cg/kubepods/pod1/ctr/cpu.max": "max 100000\n",
            "cg/kubepods/pod1/cpu.max": "150000 100000\n",
            "cg/kubepods/cpu.max": "400000 100000\n",
        },
    )
    assert cgroup.cpu_quota(proc=proc) == 1.5


def test_quota_of_version_1_is_found_where_the_path_is_the_hosts_and_the_mount_is_the_containers(
    tmp_path: Path,
) -> None:
    proc = host(
        tmp_path,
        groups="5:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n",
        mounts=[
            f"31 1 0:27 /docker/abc {tmp_path}/cpu ro - cgroup cgroup rw,cpu,cpuacct",
            f"30 1 0:26 /docker/abc {tmp_path}/memory ro - cgroup cgroup rw,memory",
        ],
        files={
            "cpu/cpu.cfs_quota_us": "200000\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "cpu/cpu.stat": "nr_periods 9\nnr_throttled 4\nthrottled_time 250000000\n",
        },
    )
    assert cgroup.cpu_quota(proc=proc) == 2.0
    assert cgroup.throttled_s(proc=proc) == 0.25


@pytest.mark.parametrize("files", [{"cg/a/cpu.max": "max 100000\n"}, {}])
def test_without_a_quota_nothing_limits_and_nothing_throttles(tmp_path: Path, files: dict[str, str]) -> None:
    mounts = [f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw"]
    proc = host(tmp_path, groups="0::/a\n", mounts=mounts, files=files)
    assert cgroup.cpu_quota(proc=proc) is None
    assert cgroup.throttled_s(proc=proc) is None


def test_host_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cgroup.cpu_quota(proc=tmp_path) is None


def test_memory_left_is_what_the_smallest_limit_above_the_process_leaves(tmp_path: Path) -> None:
    proc = host(
        tmp_path,
        groups="0::/pod/ctr\n",
        mounts=[f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw"],
        files={
            "cg/pod/ctr/memory.max": "max\n",
            "cg/pod/ctr/memory.stat": "anon 500\nfile 9000\n",
            "cg/pod/memory.max": "4096\n",
            "cg/pod/memory.stat": "anon 1000\nfile 3000\n",
        },
    )
    assert cgroup.memory_left_bytes(proc=proc) == 3096


def test_memory_left_of_version_1_counts_what_its_statistics_call_total(tmp_path: Path) -> None:
    proc = host(
        tmp_path,
        groups="3:memory:/a\n",
        mounts=[f"30 1 0:26 / {tmp_path}/memory rw - cgroup cgroup rw,memory"],
        files={"memory/a/memory.limit_in_bytes": "4096\n", "memory/a/memory.stat": "rss 10\ntotal_rss 1000\n"},
    )
    assert cgroup.memory_left_bytes(proc=proc) == 3096
    assert cgroup.memory_left_bytes(proc=tmp_path) is None


@pytest.mark.parametrize(
    ("machine", "affinity", "quota", "count", "words"),
    [
        (2, 2, None, 2, "2 of 2"),
        (96, 96, None, 96, "96 of 96"),
        (2, 1, None, 1, "1 of 2 (affinity to 1)"),
        (8, 8, 0.5, 1, "1 of 8 (CPU quota of 0.5)"),
        (8, 8, 2.5, 2, "2 of 8 (CPU quota of 2.5)"),
        (8, 4, 6.0, 4, "4 of 8 (affinity to 4, CPU quota of 6)"),
        (8, 4, 1.0, 1, "1 of 8 (affinity to 4, CPU quota of 1)"),
    ],
)
def test_affinity_and_quota_bound_the_number_of_cores(
    machine: int, affinity: int, quota: float | None, count: int, words: str
) -> None:
    usable = Cores(machine=machine, affinity=tuple(range(affinity)), quota=quota)
    assert usable.count == count
    assert str(usable) == words


@pytest.mark.parametrize(("text", "numbers"), [("0-3,8\n", (0, 1, 2, 3, 8)), ("0\n", (0,)), ("0-1", (0, 1))])
def test_cores_that_are_online_are_read_from_the_kernels_ranges(
    tmp_path: Path, text: str, numbers: tuple[int, ...]
) -> None:
    (tmp_path / "online").write_text(text)
    assert cores.online(tmp_path / "online") == numbers


def test_container_gets_cores_outside_of_edgesims_affinity_if_the_load_generator_takes_all_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cores, "online", lambda: (0, 1, 2, 3))
    monkeypatch.setattr(cores, "affinity", lambda: (1, 2))
    assert cores.apart([1], containers=True) == cores.apart([1], containers=False) == (2,)
    assert cores.apart([1, 2], containers=True) == (0, 3)
    assert cores.apart([1, 2], containers=False) == ()
    assert cores.of_engine(4) == (0, 1, 2, 3)
    assert cores.of_engine(2) == (1, 2)


def test_no_other_module_counts_cores() -> None:
    package = Path(cores.__file__).parents[1]
    counting = {"cpu_count", "process_cpu_count", "sched_getaffinity", "cpu_affinity"}
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in counting
    }
    # The server and the probe of a machine stand alone; a plain process is bound to cores, which is no count.
    alone = {"server/introspection.py", "host/machine_probe.py"}
    assert found == {"host/cores.py", "boards/local_device.py", *alone}
