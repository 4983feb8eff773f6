"""Digests of profiles and stacks last when edgesim learns to read more facts."""

import hashlib
import json
from typing import Any

import pytest
from pydantic import create_model

from edgesim import profiles, stated_facts
from edgesim.profiles.cpu import Cpu
from edgesim.profiles.device_profile import DeviceProfile
from edgesim.stacks import stack_result_builder
from edgesim.stacks.stack import Stack

FACTS: dict[str, Any] = {
    "name": "kitchen-timer",
    "title": "Kitchen timer",
    "soc": "KT1",
    "architecture": "arm64",
    "cpu": {"core": "cortex-a53", "cores": 2, "clock_hz": 1_000_000_000, "caches": {"l2_bytes": 524288}},
    "memory": {"marketed_bytes": 1 << 30, "visible_bytes": 1 << 29},
    "storage": [{"kind": "eMMC", "read_bytes_per_s": 10_000_000}],
    "emulation": {"qemu_cpu": "cortex-a53"},
    "image": {"dockerfile": "Dockerfile.jetson"},
    "modes": {"slow": {"cores": 1, "clock_hz": 500_000_000}},
    "sources": [{"facts": ["cpu.clock_hz"], "source": "the data sheet"}],
}


def _with_one_more_fact() -> type[DeviceProfile]:
    """Return the profile as an edgesim reads it that knows one more fact of the board and one of its processor."""
    cpu = create_model("Cpu", __base__=Cpu, vector_bits=(int | None, None))
    return create_model("DeviceProfile", __base__=DeviceProfile, cpu=(cpu, ...), colour=(str | None, None))


def test_new_optional_fact_that_a_profile_does_not_state_keeps_its_digest() -> None:
    newer = _with_one_more_fact()
    assert newer.model_validate(FACTS).sha256 == profiles.of_facts(FACTS, "profile").sha256


@pytest.mark.parametrize("stated", [{"colour": "red"}, {"cpu": FACTS["cpu"] | {"vector_bits": 128}}])
def test_new_optional_fact_that_a_profile_states_changes_its_digest(stated: dict[str, Any]) -> None:
    newer = _with_one_more_fact()
    assert newer.model_validate(FACTS | stated).sha256 != profiles.of_facts(FACTS, "profile").sha256


def test_default_that_a_profile_states_is_the_same_fact() -> None:
    stated = FACTS | {"limits": {"processes": 4096}, "cpu": FACTS["cpu"] | {"features": []}}
    assert profiles.of_facts(stated, "profile").sha256 == profiles.of_facts(FACTS, "profile").sha256


def test_digests_in_files_of_before_are_those_of_today() -> None:
    """The digests are of the edgesim that had all optional facts in them, at their default, too."""
    profile = profiles.of_facts(FACTS, "profile")
    assert profile.sha256 == "fd25d499d41f7e00ec5ec69b4b63ec608dcf72d63ada0a7a0ce93d199077f367"
    assert profile.in_mode("slow").sha256 == "09690b3597ed58972239ae7558454af7191e174b77570409dc01952d856a8d02"


def test_facts_in_lists_and_tables_are_left_out_at_their_default_too() -> None:
    facts = stated_facts.stated(profiles.of_facts(FACTS, "profile"), {})
    assert facts["storage"] == [{"kind": "eMMC", "read_bytes_per_s": 10_000_000}]
    assert facts["modes"] == {"slow": {"cores": 1, "clock_hz": 500_000_000}}
    assert "limits" not in facts
    assert "features" not in facts["cpu"]


def test_digest_of_a_stack_file_of_before_is_that_of_today() -> None:
    stack = Stack.model_validate(
        {
            "name": "kitchen",
            "profile": "jetson-nano",
            "services": {
                "server": {"models": ["digits"], "mounts": [{"volume": "shared", "at": "/shared"}]},
                "app": {"build": {"context": "/app"}, "after": {"server": "healthy"}, "port": 8000},
            },
            "entry": {"service": "app", "request": {"path": "/ask"}},
        }
    )
    facts = stated_facts.stated(stack, stack_result_builder._ALWAYS_IN_DIGEST)
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    assert digest == "d8f4ab6498ec41d8041742714ff4b12bc43ce86469091e6edb8eff46df9fc909"
