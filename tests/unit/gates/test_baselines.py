"""Baselines: small files, one for each profile, model and host, that give the same verdicts as the whole result."""

import json
from pathlib import Path

import pytest

from edgesim.errors import ResultError
from edgesim.gates import Rules, baselines, judge
from edgesim.gates.metric_change import metric_change
from edgesim.gates.result_metrics import metric, per_container
from edgesim.measure.statistics import summarise
from edgesim.results.run_result import RunResult
from edgesim.results.sections import RuntimeSection
from tests.support.command_line import exit_code_of
from tests.unit.gates.test_judge import run

RULE = Rules.of(["latency_ms.p50: +5 %"])


def measured(result: RunResult, median_ms: float, *, seed: int = 0, each: int = 100) -> RunResult:
    """Return a run over six containers with their histograms, as the result file has them."""
    measured = run(result, median_ms, seed=seed, each=each)
    restarts = []
    for restart in measured.restarts:
        own = measured.samples[restart.first_sample : restart.first_sample + restart.samples]
        restarts.append(restart.model_copy(update={"latency_ms": summarise([sample.latency_ms for sample in own])}))
    return measured.model_copy(update={"restarts": tuple(restarts)})


@pytest.mark.parametrize(("slower", "verdict"), [(1.0, "PASS"), (1.15, "FAIL")])
def test_a_baseline_gives_the_same_verdict_as_the_whole_result(
    result: RunResult, tmp_path: Path, slower: float, verdict: str
) -> None:
    base, candidate = measured(result, 20.0), measured(result, 20.0 * slower, seed=1)
    baseline = baselines.read(baselines.save(base, tmp_path)).result
    assert baseline.samples == ()
    assert judge(candidate, RULE, baseline).word == judge(candidate, RULE, base).word == verdict
    whole, small = (metric_change(side, candidate, "latency_ms.p50") for side in (base, baseline))
    assert small.change == pytest.approx(whole.change, abs=0.001)
    assert small.low == pytest.approx(whole.low, abs=0.002)
    assert per_container(baseline, "latency_ms.p90") == pytest.approx(per_container(base, "latency_ms.p90"), rel=0.001)


def test_old_native_baseline_without_the_proof_is_no_baseline_of_the_board(result: RunResult, tmp_path: Path) -> None:
    base = measured(result, 20.0)
    old = base.model_copy(update={"host": result.host})
    path = baselines.save(old, tmp_path)
    assert baselines.read(path).result.execution == "same-architecture"
    found, why = baselines.find(tmp_path, base)
    assert (found, "execution: same-architecture and native" in why) == (None, True)


def test_a_baseline_is_small_however_long_the_run_was(result: RunResult, tmp_path: Path) -> None:
    long = measured(result, 20.0, each=5000)
    path = baselines.save(long, tmp_path)
    assert path.stat().st_size < 20_000
    assert path.stat().st_size < len(long.as_json()) / 50


def test_long_name_of_a_model_makes_no_name_of_a_file_that_is_too_long(result: RunResult, tmp_path: Path) -> None:
    base = measured(result, 20.0)
    long = base.model_copy(update={"model": base.model.model_copy(update={"name": "x" * 250})})
    assert baselines.read(baselines.save(long, tmp_path)).result.model.name == "x" * 250


@pytest.mark.parametrize("names", [("检测", "分割"), ("a b", "a/b"), ("x" * 200, "x" * 201)])
def test_models_of_similar_names_have_baselines_of_their_own(
    names: tuple[str, str], result: RunResult, tmp_path: Path
) -> None:
    base = measured(result, 20.0)
    for name in names:
        baselines.save(base.model_copy(update={"model": base.model.model_copy(update={"name": name})}), tmp_path)
    assert {baseline.result.model.name for _, baseline in baselines.read_all(tmp_path)} == set(names)


def test_a_newer_baseline_replaces_the_file_of_its_profile_model_and_host(result: RunResult, tmp_path: Path) -> None:
    base = measured(result, 20.0)
    other_host = base.model_copy(update={"host": base.host.model_copy(update={"kernel": "Linux 7"})})
    other_model = base.model_copy(update={"model": base.model.model_copy(update={"name": "a b/c"})})
    names = {baselines.save(saved, tmp_path).name for saved in (base, other_host, other_model)}
    assert len(names) == len(list(tmp_path.iterdir())) == 3
    assert any(name.startswith("jetson-nano.MAXN--a_b_c-") for name in names)
    newer = measured(result, 30.0)
    assert baselines.save(newer, tmp_path).name in names
    baseline, why = baselines.find(tmp_path, base)
    assert baseline is not None
    assert not why
    assert metric(baseline, "latency_ms.p50").value == pytest.approx(30, rel=0.05)


def test_without_a_baseline_of_this_host_the_field_that_differs_is_named(result: RunResult, tmp_path: Path) -> None:
    base = measured(result, 20.0)
    baselines.save(base.model_copy(update={"host": base.host.model_copy(update={"kernel": "Linux 7"})}), tmp_path)
    baseline, why = baselines.find(tmp_path, base)
    assert baseline is None
    assert "the nearest differs in kernel: Linux 7 and Linux" in why
    check = judge(base, RULE, None, why_no_baseline=why)
    assert check.word == "INCONCLUSIVE"
    assert "kernel" in check.items[-1].finding


def test_an_invalid_run_is_not_saved(result: RunResult, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="an INVALID run cannot be a baseline: enough requests"):
        baselines.save(result, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_command_line_saves_lists_and_shows_baselines(
    result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    measured(result, 20.0).write(tmp_path / "r.json")
    assert exit_code_of(["baseline", "save", "r.json", "--json"]) == 0
    saved = json.loads(capsys.readouterr().out)
    assert Path(saved["file"]).parent == Path("baselines")
    assert exit_code_of(["baseline", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["fingerprint"] == saved["fingerprint"]
    assert listed["of"]["kernel"] == "Linux"
    assert exit_code_of(["baseline", "show", saved["file"]]) == 0
    shown = capsys.readouterr().out
    assert "host CPU" in shown
    assert "latency_ms.p50" in shown
    assert exit_code_of(["gate", "r.json", "--rule", "latency_ms.p50: +5 %", "--baseline", "baselines"]) == 0


def test_an_edited_baseline_is_refused(result: RunResult, tmp_path: Path) -> None:
    path = baselines.save(measured(result, 20.0), tmp_path)
    slower = json.loads(baselines.save(measured(result, 30.0), tmp_path / "slower").read_text())
    document = json.loads(path.read_text())
    document["result"]["restarts"] = slower["result"]["restarts"]
    path.write_text(json.dumps(document))
    with pytest.raises(ResultError, match="was changed after it was saved"):
        baselines.read(path)


def test_a_file_in_place_of_a_directory_is_an_error_and_half_written_files_are_skipped(
    result: RunResult, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot make the directory"):
        baselines.save(measured(result, 20.0), tmp_path / "file")
    baselines.save(measured(result, 20.0), tmp_path / "kept")
    (tmp_path / "kept" / ".half.json.4242").write_text("{")
    (tmp_path / "kept" / ".half.json").write_text("{")
    assert len(baselines.read_all(tmp_path / "kept")) == 1


def test_a_baseline_of_another_release_of_a_plain_process_is_a_file_of_its_own(
    result: RunResult, tmp_path: Path
) -> None:
    image = result.image.model_copy(update={"id": None, "server_id": None})
    base, candidate = (
        measured(result, 20.0).model_copy(
            update={
                "image": image,
                "device": result.device.model_copy(
                    update={"runtime": RuntimeSection(name="onnxruntime", version=release)}
                ),
            }
        )
        for release in ("1.31.1", "1.32.0")
    )
    assert len({baselines.save(saved, tmp_path) for saved in (base, candidate)}) == 2
    found, _ = baselines.find(tmp_path, candidate)
    assert found is not None
    assert str(found.device.runtime) == "onnxruntime 1.32.0"
