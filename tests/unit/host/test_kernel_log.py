"""Kills at a memory limit, by the kernel's log."""

from pathlib import Path

from edgesim.host.kernel_log import memory_kills

_KILLS = """\
6,811,1,-;python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
6,812,1,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=aa11,mems_allowed=0,oom_memcg=/docker/aa11,\
task_memcg=/docker/aa11,task=python3,pid=7,uid=65532
3,813,1,-;Memory cgroup out of memory: Killed process 7 (python3) total-vm:116168kB, anon-rss:65024kB
6,814,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=bb22,mems_allowed=0,oom_memcg=/edgesim-board,\
task_memcg=/edgesim-board/bb22,task=python3,pid=8,uid=0
6,815,3,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,\
task_memcg=/docker/cc33,task=python3,pid=9,uid=0
6,816,4,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=aa11,mems_allowed=0,oom_memcg=/docker/aa11,\
task_memcg=/docker/aa11,task=python3,pid=10,uid=65532
"""


def test_kills_at_its_own_limit_and_at_that_of_the_group_above_are_a_container_s_and_those_of_the_host_are_not(
    tmp_path: Path,
) -> None:
    log = tmp_path / "kmsg"
    log.write_text(_KILLS)
    assert [memory_kills(container, log=log) for container in ("aa11", "bb22", "cc33", "dd44")] == [2, 1, 0, 0]


def test_a_log_that_cannot_be_read_tells_of_no_kill(tmp_path: Path) -> None:
    assert memory_kills("aa11", log=tmp_path / "none") == 0
