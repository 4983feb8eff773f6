"""The control group above all services of a stack."""

from pathlib import Path

from edgesim.engine.engine_facts import EngineFacts
from edgesim.engine.parent_cgroup import ParentCgroup


def test_the_parent_group_is_named_as_the_engine_s_driver_wants_it() -> None:
    facts = EngineFacts("26.1", 2, 1 << 30, Path("/"), "arm64", "board", "6.1", driver="systemd")
    assert ParentCgroup.of("two-words", None).name == "/edgesim/two-words"
    assert ParentCgroup.of("two-words", facts).name == "edgesim-two_words.slice"
