"""Sequences over a real server: the load generator feeds states and caches from answer to answer."""

from pathlib import Path

import onnx
import pytest

import edgesim
from edgesim.errors import UsageError
from edgesim.gates.result_metrics import metric, per_container
from edgesim.reports import formats
from edgesim.results.run_result import RunResult
from tests.support import sequence_models

PROMPT, TOKENS = 9, 12


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    path = tmp_path_factory.mktemp("models") / "net.onnx"
    onnx.save(sequence_models.decoder(spelling="merged"), path)
    generate = {"prompt": PROMPT, "tokens": TOKENS}
    return edgesim.run("x86-gateway", path, engine="local", generate=generate, requests=20, duration_s=0.0)


def test_a_generation_has_times_of_its_own_and_ends_whole(generated: RunResult) -> None:
    generation = generated.generation
    assert generation is not None
    assert generated.requests.ok == generated.requests.sent == 2 * TOKENS, "the load ends with a whole generation"
    assert (generation.prompt_tokens, generation.new_tokens, generation.generations) == (PROMPT, TOKENS, 2)
    assert generation.time_to_first_token_ms.samples == 2
    assert generation.inter_token_ms.samples == 2 * (TOKENS - 1)
    assert [sample.step for sample in generated.samples] == 2 * [*range(1, TOKENS + 1)]
    mean = generation.inter_token_ms.mean
    assert mean is not None
    assert generation.tokens_per_second == pytest.approx(1e3 / mean)
    # Two layers, keys and values, two heads of 8 numbers of 4 bytes.
    assert (generation.cache_bytes_per_token, generation.cache_bytes) == (256, 256 * (PROMPT + TOKENS - 1))


def test_answers_of_a_generation_are_compared_step_by_step(generated: RunResult) -> None:
    assert generated.agreement is not None
    assert generated.agreement.sequence is not None
    assert generated.agreement.sequence.steps == tuple(range(1, TOKENS + 1))
    assert generated.agreement.sequence.same_token == 1.0


def test_a_generation_is_in_the_file_the_rules_and_the_report(generated: RunResult, tmp_path: Path) -> None:
    generated.write(tmp_path / "result.json")
    read = RunResult.read(tmp_path / "result.json")
    assert read.generation == generated.generation
    assert [sample.step for sample in read.samples] == [sample.step for sample in generated.samples]
    for name in ("generation.time_to_first_token_ms.max", "generation.tokens_per_second"):
        (of_container,) = per_container(read, name)
        assert metric(read, name).value == pytest.approx(of_container)
    text = formats.render(read, formats.format_of(Path("report.md")), "result.json")
    assert "further token" in text
    assert "prompt of 9 tokens, 12 generated" in text


def test_a_result_without_a_generation_has_none_of_its_metrics(generated: RunResult) -> None:
    other = generated.model_copy(update={"generation": None})
    assert metric(other, "generation.inter_token_ms.p50").value is None


def test_a_state_is_fed_by_each_client(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(sequence_models.gru(), path)
    result = edgesim.run("x86-gateway", path, engine="local", state="auto", clients=2, requests=40, duration_s=0.0)
    assert "state hn → h0, anew every 32 requests" in result.scenario.inputs
    assert sum(sample.step == 1 for sample in result.samples) == 2
    assert result.agreement is not None
    assert result.agreement.sequence is not None


@pytest.mark.parametrize("traffic", [{"qps": 5.0}, {"samples_per_query": 2}, {"scenario": "offline"}])
def test_a_scenario_that_waits_for_no_answer_is_refused(tmp_path: Path, traffic: dict[str, float]) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(sequence_models.gru(), path)
    with pytest.raises(UsageError, match="`state`: a request needs the previous answer"):
        edgesim.run("x86-gateway", path, engine="local", state="auto", **traffic)  # type: ignore[arg-type]  # the options have several types


def test_a_check_says_how_the_answers_develop_and_how_large_the_cache_is(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(sequence_models.decoder(), path)
    verdict = edgesim.check("x86-gateway", path, engine="local", generate={"prompt": PROMPT, "tokens": TOKENS})
    findings = {item.name: item.finding for item in verdict.items}
    assert "steps 1 to 8 and 12, the same token in 100 % of the steps" in findings["answers"]
    assert f"with a cache of 5.0 KiB for {PROMPT + TOKENS - 1} tokens" in findings["memory"]


def test_another_model_that_drifts_away_fails_with_the_step_and_the_growth(tmp_path: Path) -> None:
    for name, growth in (("net", 1.01), ("right", 1.0)):
        onnx.save(sequence_models.counter(growth=growth), tmp_path / f"{name}.onnx")
    checks = edgesim.CheckOptions(reference=tmp_path / "right.onnx")
    verdict = edgesim.check("x86-gateway", tmp_path / "net.onnx", checks, engine="local", state={"total": "sum"})
    answers = next(item for item in verdict.items if item.name == "answers")
    assert answers.verdict == "FAIL"
    assert "0 at the first, at most" in answers.finding
    assert "at step 8, growing from step to step" in answers.finding
