"""`edgesim predict`: all targets of a board, one of them, and JSON."""

import json

import pytest

from edgesim.predictions import predictor
from tests.support.command_line import edgesim_here
from tests.support.targets import FixedGpu

NANO = ["predict", "jetson-nano", "digits"]


@pytest.fixture(autouse=True)
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "PREDICTORS", (*predictor.PREDICTORS[:1], FixedGpu(3.0)))


def printed(arguments: list[str]) -> str:
    done = edgesim_here(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_has_every_target_with_its_band_or_the_reason() -> None:
    text = printed(NANO)
    rows = [line.split() for line in text.splitlines()]
    assert ["gpu:tensorrt-fp16", "3.00", "2.40", "to", "3.75"] in rows
    assert ["gpu:tensorrt-int8", "-", "not", "predicted"] in rows
    assert "gpu:tensorrt-fp16, gpu:tensorrt-fp32: the power mode is not known" in " ".join(text.split())
    assert "gpu:tensorrt-int8: not predicted: no fast path for int8" in " ".join(text.split())


def test_a_board_without_accelerators_has_no_table() -> None:
    text = printed(["predict", "raspberry-pi-4", "digits"])
    assert "target" not in text
    assert "cpu:" not in text


def test_one_target_is_shown_alone() -> None:
    text = printed([*NANO, "--target", "gpu:tensorrt-fp32"])
    assert "6.00 ms  (4.80 to 7.50 ms, 80 %)" in text
    assert "digits on NVIDIA Jetson Nano 4GB (B01) (MAXN) on gpu:tensorrt-fp32" in text
    assert "fp16" not in text
    assert "device time on gpu:tensorrt-fp32 6.00 ms" in printed([*NANO, "--target", "gpu:tensorrt-fp32", "--quiet"])


def test_json_has_all_targets_and_the_chosen_one_on_top() -> None:
    facts = json.loads(printed([*NANO, "--json", "--target", "gpu:tensorrt-fp16"]))
    assert (facts["target"], facts["p50_ms"]) == ("gpu:tensorrt-fp16", 3.0)
    assert list(facts["targets"]) == ["cpu", "gpu:tensorrt-fp16", "gpu:tensorrt-fp32", "gpu:tensorrt-int8"]
    assert facts["targets"]["gpu:tensorrt-int8"] == {
        "p50_ms": None,
        "low_ms": None,
        "high_ms": None,
        "method": "none: no fast path for int8",
        "notes": [],
        "published": [],
    }
    facts = json.loads(printed([*NANO, "--json"]))
    assert facts["target"] == "cpu"
    assert facts["targets"]["cpu"]["p50_ms"] == facts["p50_ms"]


def test_an_unknown_target_is_a_usage_error_and_a_declined_one_says_why() -> None:
    unknown, declined = (edgesim_here(*NANO, "--target", f"gpu:tensorrt-{name}") for name in ("fp61", "int8"))
    assert (unknown.returncode, declined.returncode) == (2, 2)
    assert "did you mean 'gpu:tensorrt-fp16'" in unknown.stderr
    assert "no fast path for int8" in declined.stderr


def test_published_figures_of_the_network_stand_beside_the_prediction_with_their_source() -> None:
    resnet = ["predict", "jetson-nano", "resnet18"]
    for arguments in (resnet, [*resnet, "--target", "gpu:tensorrt-fp16"]):
        text = " ".join(printed(arguments).split())
        assert "published: 11.4 ms for resnet18 on Jetson Nano" in text
        assert "torch2trt:benchmarks/JETSON_NANO.md@ebfa3bcde7" in text
    published = json.loads(printed([*resnet, "--json"]))["targets"]["gpu:tensorrt-fp16"]["published"]
    assert [figure["ms"] for figure in published] == [11.4, 10.8578]
