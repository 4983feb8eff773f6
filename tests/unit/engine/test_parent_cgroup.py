"""The control group above all services of a stack."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgesim.engine import delegation, parent_cgroup
from edgesim.engine.engine_facts import EngineFacts
from edgesim.engine.parent_cgroup import ParentCgroup
from edgesim.errors import LimitsDenied


def test_the_parent_group_is_named_as_the_engine_s_driver_wants_it() -> None:
    facts = EngineFacts("26.1", 2, 1 << 30, Path("/"), "arm64", "board", "6.1", driver="systemd")
    assert ParentCgroup.of("two-words", None).name == "/edgesim/two-words"
    assert ParentCgroup.of("two-words", facts).name == "edgesim-two_words.slice"


@pytest.mark.parametrize(
    ("version", "unlimited", "fix"),
    [("1", ("memory", "swap", "CPU"), delegation.VERSION_2), ("2", ("CPU", "cores"), delegation.DELEGATE)],
)
def test_a_stack_is_refused_before_any_work_by_an_engine_without_root_that_cannot_limit_it(
    version: str, unlimited: tuple[str, ...], fix: str
) -> None:
    facts = EngineFacts("26.1", 2, 1 << 30, Path("/"), "amd64", "host", "6.1", rootless=True, cgroup_version=version)
    parent_cgroup.require(replace(facts, unlimited=("swap", "cores")))  # a stack's group has no such limit
    parent_cgroup.require(replace(facts, unlimited=unlimited, rootless=False))  # root makes the group itself
    with pytest.raises(LimitsDenied, match=r"cannot limit .*CPU on its host") as caught:
        parent_cgroup.require(replace(facts, unlimited=unlimited))
    assert caught.value.fix == fix
