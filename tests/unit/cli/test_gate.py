"""Every way to be empty, broken or of something else: each ends with its own exit code, and none in PASS."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesim.cli import gate
from edgesim.gates import baselines
from edgesim.gates.judge import judge
from edgesim.gates.rules import Rules
from edgesim.measure.statistics import summarise
from edgesim.recording import Sample
from edgesim.results.journal import Journal
from edgesim.results.run_result import RunResult
from edgesim.results.sections import Distribution, RuntimeSection, ValiditySection
from tests.support.command_line import exit_code_of
from tests.unit.gates.test_judge import run

ABSOLUTE = ["--rule", "latency_ms.p50 <= 30"]
CHANGE = ["--rule", "latency_ms.p50: +50 %"]
FAIL, USAGE, INVALID, INCONCLUSIVE = 1, 2, 5, 6
INVALID_RUN = ValiditySection(valid=False, reasons=("device alive: it died after 9 requests",))

Case = tuple[int, list[str]]


class Desk:
    """A directory with a good result in ``good.json``, and what makes others of it."""

    def __init__(self, directory: Path, good: RunResult) -> None:
        self.directory, self.good = directory, good
        good.write(directory / "good.json")

    def file(self, content: bytes | str, name: str = "bad.json") -> str:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def changed(self, **update: Any) -> str:
        self.good.model_copy(update=update).write(self.directory / "bad.json")
        return str(self.directory / "bad.json")

    def edited(self, edit: Callable[[dict[str, Any]], None], of: str = "good.json") -> str:
        document = json.loads((self.directory / of).read_text())
        edit(document)
        return self.file(json.dumps(document))

    def saved(self, result: RunResult | None = None) -> Path:
        return baselines.save(result if result is not None else self.good, self.directory / "kept")

    def of_another_host(self) -> RunResult:
        return self.good.model_copy(update={"host": self.good.host.model_copy(update={"cpu": "another"})})


def _all_failed(desk: Desk) -> str:
    samples = tuple(sample._replace(outcome="HTTP 500: no") for sample in desk.good.samples)
    requests = desk.good.requests.model_copy(update={"ok": 0, "failed": len(samples)})
    return desk.changed(samples=samples, requests=requests, latency_ms=Distribution(), validity=INVALID_RUN)


def _killed(desk: Desk) -> str:
    """What stays of a run that was killed: the journal as it was at that moment."""
    journal = Journal(desk.directory / "run.json")
    begun = desk.good.model_copy(update={"complete": False, "samples": (), "validity": INVALID_RUN})
    with journal.keeping([Sample(0, 0, 10**7, "ok")], lambda: begun):
        pass
    return str(journal.path)


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def edit(document: dict[str, Any]) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = to

    return edit


def _drop(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.__delitem__(key)


def _bad_histograms(result: RunResult) -> RunResult:
    broken = Distribution(samples=100, histogram="HISTFAAAAB")
    return result.model_copy(
        update={"restarts": tuple(restart.model_copy(update={"latency_ms": broken}) for restart in result.restarts)}
    )


GOOD = "good.json"
CASES: dict[str, Callable[[Desk], Case]] = {
    # the result
    "a missing file": lambda d: (USAGE, ["gate", "nowhere.json", *ABSOLUTE]),
    "a directory": lambda d: (USAGE, ["gate", ".", *ABSOLUTE]),
    "an empty file": lambda d: (USAGE, ["gate", d.file(""), *ABSOLUTE]),
    "a file of white space": lambda d: (USAGE, ["gate", d.file(" \n"), *ABSOLUTE]),
    "a file that is no text": lambda d: (USAGE, ["gate", d.file(b"\x00\xff\xfe"), *ABSOLUTE]),
    "a truncated file": lambda d: (USAGE, ["gate", d.file((d.directory / GOOD).read_bytes()[:700]), *ABSOLUTE]),
    "a file without its last brace": lambda d: (
        USAGE,
        ["gate", d.file((d.directory / GOOD).read_text().rstrip()[:-1]), *ABSOLUTE],
    ),
    "an empty object": lambda d: (USAGE, ["gate", d.file("{}"), *ABSOLUTE]),
    "an empty list": lambda d: (USAGE, ["gate", d.file("[]"), *ABSOLUTE]),
    "null": lambda d: (USAGE, ["gate", d.file("null"), *ABSOLUTE]),
    "a newer schema": lambda d: (USAGE, ["gate", d.edited(_set("schema_version", to=2)), *ABSOLUTE]),
    "an older schema": lambda d: (USAGE, ["gate", d.edited(_set("schema_version", to=0)), *ABSOLUTE]),
    "no validity": lambda d: (USAGE, ["gate", d.edited(_drop("validity")), *ABSOLUTE]),
    "no samples in the file": lambda d: (USAGE, ["gate", d.edited(_drop("samples")), *ABSOLUTE]),
    "a median in words": lambda d: (USAGE, ["gate", d.edited(_set("latency_ms", "p50", to="fast")), *ABSOLUTE]),
    "a baseline in a result's place": lambda d: (USAGE, ["gate", str(d.saved()), *ABSOLUTE]),
    "no samples": lambda d: (INCONCLUSIVE, ["gate", d.edited(_set("samples", to=[])), *ABSOLUTE]),
    "half of the samples": lambda d: (INCONCLUSIVE, ["gate", d.changed(samples=d.good.samples[:200]), *ABSOLUTE]),
    "no request was sent": lambda d: (
        INCONCLUSIVE,
        [
            "gate",
            d.changed(samples=(), restarts=(), requests=d.good.requests.model_copy(update={"sent": 0, "ok": 0})),
            "--rule",
            "artifact_bytes <= 1MiB",
        ],
    ),
    "all requests failed": lambda d: (FAIL, ["gate", _all_failed(d), *ABSOLUTE]),
    "all requests failed, and a rule of size": lambda d: (
        INVALID,
        ["gate", _all_failed(d), "--rule", "artifact_bytes <= 1MiB"],
    ),
    "a killed container": lambda d: (INVALID, ["gate", d.changed(validity=INVALID_RUN), *ABSOLUTE]),
    "a killed run's journal": lambda d: (INVALID, ["gate", _killed(d), *ABSOLUTE]),
    "cut short": lambda d: (INCONCLUSIVE, ["gate", d.changed(complete=False), *ABSOLUTE]),
    "a median that is null": lambda d: (FAIL, ["gate", d.edited(_set("latency_ms", "p50", to=None)), *ABSOLUTE]),
    "a median that is NaN": lambda d: (USAGE, ["gate", d.edited(_set("latency_ms", "p50", to=math.nan)), *ABSOLUTE]),
    "an infinite throughput": lambda d: (
        USAGE,
        ["gate", d.edited(_set("throughput_qps", to=math.inf)), "--rule", "throughput_qps >= 1"],
    ),
    "a metric that this run has not": lambda d: (FAIL, ["gate", GOOD, "--rule", "accuracy >= 0"]),
    "no device time": lambda d: (FAIL, ["gate", GOOD, "--rule", "device_time_ms.p50 <= 1000000"]),
    "an emulator's time": lambda d: (USAGE, ["gate", d.edited(_set("execution", to="emulated")), *ABSOLUTE]),
    # the rules
    "no rules file": lambda d: (USAGE, ["gate", GOOD]),
    "a missing rules file": lambda d: (USAGE, ["gate", GOOD, "--rules", "nowhere.yaml"]),
    "an empty rules file": lambda d: (USAGE, ["gate", GOOD, "--rules", d.file("", "r.yaml")]),
    "an empty list of rules": lambda d: (USAGE, ["gate", GOOD, "--rules", d.file("rules: []", "r.yaml")]),
    "rules of another board": lambda d: (
        USAGE,
        ["gate", GOOD, "--rules", d.file("profiles: {raspberry-pi-5: [artifact_bytes <= 1MiB]}", "r.yaml")],
    ),
    "a limit that is no number": lambda d: (USAGE, ["gate", GOOD, "--rule", "latency_ms.p50 <= nan"]),
    "an infinite limit": lambda d: (USAGE, ["gate", GOOD, "--rule", "latency_ms.p50 <= inf"]),
    "a change in two numbers": lambda d: (USAGE, ["gate", GOOD, "--rule", "latency_ms.p50: +1.2.3 %"]),
    "an empty rule": lambda d: (USAGE, ["gate", GOOD, "--rule", ""]),
    # the baseline
    "no baseline": lambda d: (INCONCLUSIVE, ["gate", GOOD, *CHANGE]),
    "a missing baseline": lambda d: (USAGE, ["gate", GOOD, *CHANGE, "--baseline", "nowhere.json"]),
    "an empty directory of baselines": lambda d: (
        INCONCLUSIVE,
        ["gate", GOOD, *CHANGE, "--baseline", str(Path(d.file("", "empty/x.txt")).parent)],
    ),
    "a baseline of another host": lambda d: (
        INCONCLUSIVE,
        ["gate", GOOD, *CHANGE, "--baseline", str(d.saved(d.of_another_host()))],
    ),
    "baselines of other hosts alone": lambda d: (
        INCONCLUSIVE,
        ["gate", GOOD, *CHANGE, "--baseline", str(d.saved(d.of_another_host()).parent)],
    ),
    "a truncated baseline": lambda d: (
        USAGE,
        ["gate", GOOD, *CHANGE, "--baseline", d.file(d.saved().read_bytes()[:400])],
    ),
    "a truncated baseline among others": lambda d: (
        USAGE,
        ["gate", GOOD, *CHANGE, "--baseline", str(Path(d.file(d.saved().read_bytes()[:400], "kept/a.json")).parent)],
    ),
    "a baseline of another version": lambda d: (
        USAGE,
        ["gate", GOOD, *CHANGE, "--baseline", d.edited(_set("baseline_version", to=2), str(d.saved()))],
    ),
    "a baseline that somebody has changed": lambda d: (
        USAGE,
        ["gate", GOOD, *CHANGE, "--baseline", d.edited(_set("result", "host", "kernel", to="6.0"), str(d.saved()))],
    ),
    "a baseline whose times are broken": lambda d: (
        INCONCLUSIVE,
        ["gate", GOOD, *CHANGE, "--baseline", str(d.saved(_bad_histograms(d.good)))],
    ),
    "a baseline of one container": lambda d: (
        INCONCLUSIVE,
        ["gate", GOOD, *CHANGE, "--baseline", d.changed(restarts=())],
    ),
    "an INVALID baseline": lambda d: (
        INCONCLUSIVE,
        ["gate", GOOD, *CHANGE, "--baseline", d.changed(validity=INVALID_RUN)],
    ),
    # comparing, and keeping
    "comparing releases across, of three results": lambda d: (
        USAGE,
        ["compare", GOOD, GOOD, GOOD, "--across-runtimes"],
    ),
    "two releases without a model": lambda d: (
        USAGE,
        ["gate", "x86-gateway", "--base-runtime", "1.16.3", "--cand-runtime", "1.18.1"],
    ),
    "two releases of two models": lambda d: (
        USAGE,
        ["gate", "x86-gateway", "digits", "--base", "a", "--base-runtime", "1.16.3", "--cand-runtime", "1.18.1"],
    ),
    "a model without releases": lambda d: (USAGE, ["gate", GOOD, "digits", *ABSOLUTE]),
    "comparing with nothing": lambda d: (USAGE, ["compare", GOOD, "nowhere.json"]),
    "comparing with a truncated file": lambda d: (USAGE, ["compare", d.file('{"schema'), GOOD]),
    "keeping an INVALID run": lambda d: (INVALID, ["baseline", "save", d.changed(validity=INVALID_RUN)]),
    "keeping half a run": lambda d: (INVALID, ["baseline", "save", d.changed(complete=False)]),
    "keeping nothing": lambda d: (USAGE, ["baseline", "save", "nowhere.json"]),
    "showing a result as a baseline": lambda d: (USAGE, ["baseline", "show", GOOD]),
    "showing nothing": lambda d: (USAGE, ["baseline", "show", "nowhere.json"]),
    "listing nothing": lambda d: (USAGE, ["baseline", "list", "--dir", "nowhere"]),
}


@pytest.fixture
def desk(result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    good = run(result, 20.0)
    # As a run writes it: with the histograms of each container.
    restarts = tuple(
        restart.model_copy(
            update={
                "latency_ms": summarise(
                    [s.latency_ms for s in good.samples[restart.first_sample : restart.first_sample + restart.samples]]
                )
            }
        )
        for restart in good.restarts
    )
    return Desk(tmp_path, good.model_copy(update={"restarts": restarts}))


def test_good_files_pass(desk: Desk) -> None:
    baseline = desk.saved()
    assert exit_code_of(["gate", GOOD, *ABSOLUTE]) == 0
    assert exit_code_of(["gate", GOOD, *CHANGE, "--baseline", GOOD]) == 0
    assert exit_code_of(["gate", GOOD, *CHANGE, "--baseline", str(baseline)]) == 0
    assert exit_code_of(["gate", GOOD, *CHANGE, "--baseline", str(baseline.parent)]) == 0
    assert exit_code_of(["compare", GOOD, GOOD]) == 0
    assert exit_code_of(["baseline", "show", str(baseline)]) == 0
    assert exit_code_of(["baseline", "list", "--dir", str(baseline.parent)]) == 0


@pytest.mark.parametrize("name", CASES)
def test_no_empty_broken_or_incomparable_file_passes(name: str, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    expected, arguments = CASES[name](desk)
    assert exit_code_of(arguments) == expected
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    assert expected != USAGE or len(shown.err.strip().splitlines()) <= 2, "one line, and what mends it"
    assert not shown.out.rstrip().endswith("PASS")


def test_changes_across_releases_are_compared_only_where_the_command_says_so(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    device = desk.good.device.model_copy(update={"runtime": RuntimeSection(name="onnxruntime", version="1.18.1")})
    image = desk.good.image.model_copy(update={"id": "sha256:2"})
    other = desk.changed(device=device, image=image)
    assert exit_code_of(["compare", GOOD, other]) == 0
    printed = capsys.readouterr().out
    assert "interval" not in printed
    assert "(--across-runtimes compares the changes)" in " ".join(printed.split())
    assert exit_code_of(["compare", GOOD, other, "--across-runtimes"]) == 0
    printed = capsys.readouterr().out
    assert "interval" in printed
    assert "onnxruntime 1.18.1" in printed
    assert "NOT COMPARABLE" not in printed, "the command says that they are to be compared"


def test_of_a_pair_the_side_that_is_invalid_is_named(result: RunResult, capsys: pytest.CaptureFixture[str]) -> None:
    base = run(result, 20.0)
    candidate = base.model_copy(update={"validity": INVALID_RUN})
    verdict = judge(candidate, Rules.of(["latency_ms.p50: +50 %"]), base, paired=True)
    code = gate._deliver(
        verdict,
        (base, candidate),
        runs=None,
        junit=None,
        markdown=None,
        quiet=True,
        as_json=False,
        inconclusive_ok=False,
    )
    assert code == INVALID
    assert "the candidate is INVALID" in capsys.readouterr().err
