import os
from pathlib import Path

import pytest

from edgesim.host import cgroup_tree
from edgesim.host.cgroup import Cgroup

LIMITS = {"memory_bytes": 1 << 20, "quota_us": 20_000, "period_us": 10_000, "processes": 64}


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    return tmp_path / "self" / "mountinfo"


def mount(mounts: Path, *lines: str) -> None:
    mounts.parent.mkdir()
    mounts.write_text("\n".join(lines) + "\n")


def test_version_1_group_is_limited_in_each_controllers_tree(tmp_path: Path, mounts: Path) -> None:
    mount(
        mounts,
        f"30 1 0:26 / {tmp_path}/memory rw - cgroup cgroup rw,memory",
        f"31 1 0:27 / {tmp_path}/cpu rw - cgroup cgroup rw,cpu,cpuacct",
        f"32 1 0:28 / {tmp_path}/pids rw - cgroup cgroup rw,pids",
    )
    cgroup_tree.make("/edgesim/x", LIMITS, [], mounts)
    assert (tmp_path / "memory/edgesim/x/memory.limit_in_bytes").read_text() == str(1 << 20)
    assert (tmp_path / "cpu/edgesim/x/cpu.cfs_quota_us").read_text() == "20000"
    assert (tmp_path / "cpu/edgesim/x/cpu.cfs_period_us").read_text() == "10000"
    assert (tmp_path / "pids/edgesim/x/pids.max").read_text() == "64"
    group = Cgroup.named("/edgesim/x", tmp_path)
    assert group is not None
    assert group.limits().memory_bytes == 1 << 20
    assert group.limits().cpus == 2


def test_version_2_group_is_limited_and_its_parents_delegate(tmp_path: Path, mounts: Path) -> None:
    mount(mounts, f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw")
    (tmp_path / "cg/edgesim/x").mkdir(parents=True)
    (tmp_path / "cg/edgesim/x/memory.swap.max").write_text("max")
    cgroup_tree.make("/edgesim/x", LIMITS, [], mounts)
    group = tmp_path / "cg/edgesim/x"
    assert (group / "memory.max").read_text() == str(1 << 20)
    assert (group / "memory.swap.max").read_text() == "0"
    assert (group / "cpu.max").read_text() == "20000 10000"
    assert (group / "pids.max").read_text() == "64"
    for above in (tmp_path / "cg", tmp_path / "cg/edgesim"):
        assert (above / "cgroup.subtree_control").read_text().startswith("+")
    assert not (group / "cgroup.subtree_control").exists(), "the engine does that"
    found = Cgroup.named("/edgesim/x", tmp_path)
    assert found is not None
    assert (found.version, found.limits().memory_bytes) == (2, 1 << 20)


def test_systemd_limits_and_reverts_a_slice(tmp_path: Path, mounts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    command = tmp_path / "bin" / "systemctl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    cgroup_tree.make("edgesim-x.slice", LIMITS, ["--user"], mounts)
    cgroup_tree.remove("edgesim-x.slice", [], mounts)
    limit, start, stop, revert = calls.read_text().splitlines()
    assert limit == (
        "--user set-property --runtime edgesim-x.slice MemoryMax=1048576 MemorySwapMax=0 CPUQuota=200.00%"
        " CPUQuotaPeriodSec=10000us TasksMax=64"
    )
    assert (start, stop) == ("--user start edgesim-x.slice", "stop edgesim-x.slice")
    assert revert == "revert edgesim-x.slice"
    command.write_text("#!/bin/sh\necho 'Access denied' >&2; exit 1\n")
    with pytest.raises(OSError, match="Access denied"):
        cgroup_tree.make("edgesim-x.slice", LIMITS, [], mounts)


def test_slice_is_found_in_the_slice_that_its_name_says(tmp_path: Path, mounts: Path) -> None:
    mount(mounts, f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw")
    directory = tmp_path / "cg/edgesim.slice/edgesim-x.slice"
    directory.mkdir(parents=True)
    (directory / "memory.max").write_text("4096")
    found = Cgroup.named("edgesim-x.slice", tmp_path)
    assert found is not None
    assert found.limits().memory_bytes == 4096
    assert Cgroup.named("edgesim-y.slice", tmp_path) is None


def test_removing_a_group_leaves_other_groups(tmp_path: Path, mounts: Path) -> None:
    mount(mounts, f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw")
    (tmp_path / "cg/edgesim/x/container").mkdir(parents=True)
    (tmp_path / "cg/edgesim/other").mkdir()
    cgroup_tree.remove("/edgesim/x", [], mounts)
    assert [path.name for path in (tmp_path / "cg/edgesim").iterdir()] == ["other"]
    cgroup_tree.remove("/edgesim/other", [], mounts)
    assert not (tmp_path / "cg/edgesim").exists()


def test_owner_of_a_users_own_slice_is_found_in_the_service_of_the_users_systemd(
    tmp_path: Path, mounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(mounts, f"30 1 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw")
    user = os.geteuid()
    slices = tmp_path / f"cg/user.slice/user-{user}.slice/user@{user}.service/edgesim.slice"
    (slices / "edgesim-x.slice").mkdir(parents=True)
    (slices / "edgesim-x.slice/cgroup.procs").touch()
    kept: dict[tuple[Path, str], bytes] = {}
    monkeypatch.setattr(os, "setxattr", lambda path, name, value: kept.update({(path, name): value}))
    monkeypatch.setattr(os, "getxattr", lambda path, name: kept[path, name])
    cgroup_tree._set_owner("edgesim-x.slice", "me", mounts, rootless=True)
    assert list(kept) == [(slices / "edgesim-x.slice", "user.edgesim.owner")]  # trusted.* is root's alone
    assert cgroup_tree.owners(mounts, rootless=True) == {"edgesim-x.slice": "me"}
    assert cgroup_tree.owners(mounts) == {}
