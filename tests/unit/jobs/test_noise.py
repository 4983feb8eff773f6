"""What is kept of a probe of a host's noise, and for which gates it counts."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.cli._rules import refuse_invisible
from edgesim.errors import UsageError
from edgesim.gates import Rules, paired_statistics
from edgesim.host import host_facts
from edgesim.jobs.noise import Noise, kept_in, known, probe
from edgesim.models.repository import Model

NANO = profiles.load("jetson-nano")


@pytest.fixture
def probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Noise:
    """A probe of this host with plain processes, whose rounds scattered by 2 %."""
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    found = Noise(
        created="2026-01-02T03:04:05+00:00",
        cpu="x",
        cores=2,
        kernel="k",
        engine="local",
        execution="host",
        profile="x86-gateway",
        model="net",
        rounds=12,
        scatter={"latency_ms.p50": 0.02},
    )
    path = kept_in("local", "host", model="net")
    path.parent.mkdir(parents=True)
    path.write_text(found.model_dump_json())
    return found


def test_a_threshold_below_what_is_visible_is_refused_with_the_figure(probed: Noise) -> None:
    visible = paired_statistics.smallest_visible(0.02, 12)
    with pytest.raises(UsageError, match=f"cannot detect a change below {100 * visible:.1f} % in 20 rounds") as caught:
        refuse_invisible(Rules.of(["latency_ms.p50: +1 %"]), NANO, 20, model_name="net", engine="local")
    assert "--max-rounds" in caught.value.fix


@pytest.mark.parametrize(
    ("rule", "rounds"),
    [
        ("latency_ms.p50: +5 %", 20),
        ("latency_ms.p50: +2 %", 80),
        ("throughput_qps: -0.1 %", 20),
        ("artifact_bytes: +0 %", 20),
        ("device_time_ms.p50 <= 1", 20),
    ],
)
def test_what_is_visible_or_was_not_probed_or_has_no_noise_is_let_through(
    probed: Noise, rule: str, rounds: int
) -> None:
    refuse_invisible(Rules.of([rule]), NANO, rounds, model_name="net", engine="local")


def test_what_has_no_time_of_a_board_s_has_no_noise_either(digits: Model) -> None:
    with pytest.raises(UsageError, match="`execution=emulated`"):
        probe(NANO, digits, execution="emulated")
    with pytest.raises(UsageError, match="`execution=native`: jetson-nano is arm64"):
        probe(NANO, digits, execution="native")


def test_fewer_rounds_see_less(probed: Noise) -> None:
    with pytest.raises(UsageError):
        refuse_invisible(Rules.of(["latency_ms.p50: +5 %"]), NANO, 5, model_name="net", engine="local")


def test_a_probe_counts_for_its_engine_and_execution_on_its_host_alone(
    probed: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert known(NANO, "local", None) == [probed]
    assert known(NANO, "docker", "native") == []
    here = host_facts.describe(engine=None, emulator=None)
    monkeypatch.setattr(host_facts, "describe", lambda **_: replace(here, kernel="Linux 7"))
    assert known(NANO, "local", None) == []


def test_a_probe_that_cannot_be_read_is_as_good_as_none(probed: Noise) -> None:
    kept_in("local", "host", model="net").write_text("{")
    assert known(NANO, "local", None) == []


def test_a_probe_of_the_very_model_counts_before_those_of_others(probed: Noise) -> None:
    quieter = probed.model_copy(update={"model": "large", "scatter": {"latency_ms.p50": 0.001}})
    kept_in("local", "host", model="large").write_text(quieter.model_dump_json())
    assert known(NANO, "local", None, model="net") == [probed]
    assert known(NANO, "local", None, model="another") == [quieter, probed]
    rule = Rules.of(["latency_ms.p50: +1 %"])
    with pytest.raises(UsageError):
        refuse_invisible(rule, NANO, 20, model_name="net", engine="local")
    refuse_invisible(rule, NANO, 20, model_name="another", engine="local")


def test_more_rules_see_less_and_less_is_nearer_than_more(probed: Noise) -> None:
    both = probed.model_copy(update={"scatter": {"latency_ms.p50": 0.02, "throughput_qps": 0.02}})
    up, down = both.visible("latency_ms.p50"), both.visible("throughput_qps")
    many = both.visible("latency_ms.p50", rules=8)
    assert up is not None
    assert down is not None
    assert many is not None
    assert (1 + up) * (1 - down) == pytest.approx(1)
    assert many > up


def test_file_of_a_probe_has_a_name_that_a_file_system_takes_however_long_the_models_name() -> None:
    assert len(kept_in("local", "host", model="x" * 250).name) < 255


def test_probes_of_models_of_similar_names_are_files_of_their_own() -> None:
    assert kept_in("local", "host", model="检测") != kept_in("local", "host", model="分割")
