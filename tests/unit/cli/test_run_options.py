"""The flags of a run's options, and the options that they make."""

import pytest

from edgesim.cli import _commands, _values
from edgesim.cli._run_options import AnswerFlags, BoardFlags, InputFlags, TrafficFlags, run_options
from edgesim.errors import UsageError
from edgesim.options import (
    BoardOptions,
    DetectionMatch,
    Generate,
    InputOptions,
    PeakLimit,
    RunOptions,
    TrafficOptions,
)


def test_every_option_of_a_run_has_a_flag_of_its_name() -> None:
    flags = {parameter.name for parameter in _commands.load("run").params}
    fields = {*TrafficOptions.model_fields, *InputOptions.model_fields, *BoardOptions.model_fields}
    fields |= {"models", "match", "repeat", "output"}
    # A peak search has two flags, and sizes and guesses one; a run takes any free port, has no gRPC, and does not
    # reload models; instructions are counted by a command of their own.
    assert fields - flags == {"auto_dims", "count", "count_threads", "grpc_port", "peak", "port", "watch"}


@pytest.mark.parametrize("flags", [TrafficFlags, InputFlags, AnswerFlags, BoardFlags])
def test_flags_that_are_not_given_leave_the_options_at_their_defaults(flags: type) -> None:
    values = {name: getattr(flags, name) for name in flags.__annotations__}
    assert run_options(**values) == RunOptions()


def test_words_of_flags_become_values_of_options() -> None:
    options = run_options(sweep="10,20", until="p99:5%", client_cores="0,1", shapes=["x=1,3"], ranges=["x=0:1"])
    assert options.traffic.sweep == (10.0, 20.0)
    assert options.traffic.until is not None
    assert (options.traffic.until.percentile, options.traffic.until.percent) == (99, 5)
    assert options.traffic.client_cores == (0, 1)
    assert options.inputs.shapes == {"x": (1, 3)}
    assert options.inputs.ranges == {"x": (0.0, 1.0)}
    assert run_options(find_peak=True, p99_under="50ms").traffic.peak == PeakLimit(percentile="p99", latency_ms=50)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"sweep": "10,-1"}, "--sweep 10,-1"),
        ({"until": "99:5"}, "--until 99:5"),
        ({"shapes": ["x"]}, "--shape x"),
        ({"ranges": ["x=2:1"]}, "--range x=2:1"),
        ({"client_cores": "a"}, "--client-cores a"),
        ({"find_peak": True}, "--find-peak and --p99-under go together"),
        ({"find_peak": True, "p99_under": "50"}, "--p99-under 50: not a time"),
    ],
)
def test_a_word_that_is_not_a_value_is_refused_with_its_flag(flags: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        run_options(**flags)  # type: ignore[arg-type]
    assert caught.value.problem.startswith(words)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ("detections", DetectionMatch()),
        ("detections:iou=0.7,boxes=dets", DetectionMatch(iou=0.7, boxes="dets")),
        (
            "detections:rows=out,columns=xyxysc,threshold=0.3",
            DetectionMatch(rows="out", columns="xyxysc", threshold=0.3),
        ),
    ],
)
def test_match_names_outputs_and_bounds(words: str, match: DetectionMatch) -> None:
    assert run_options(match=words).match == match
    assert RunOptions.of(match=match) == RunOptions.model_validate(RunOptions.of(match=match).model_dump(mode="json"))
    assert RunOptions.of(match="detections").match == DetectionMatch()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("boxes", "not detections"),
        ("detections:iou", "not detections"),
        ("detections:iou=2", "must be 1 or less"),
        ("detections:box=a", "did you mean 'boxes'"),
        ("detections:columns=xyz", "columns"),
    ],
)
def test_match_that_says_something_else_is_refused(words: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        run_options(match=words)


@pytest.mark.parametrize(
    ("words", "fed"), [(["hn=h0", "cn=c0"], {"hn": "h0", "cn": "c0"}), (["auto"], "auto"), (["a=b=c"], {"a": "b=c"})]
)
def test_states_are_pairs_of_an_output_and_an_input_or_found_on_request(words: list[str], fed: object) -> None:
    assert _values.state(words) == fed


@pytest.mark.parametrize("words", [["hn"], ["=h0"], ["hn="], ["auto", "hn=h0"]])
def test_words_that_are_no_state_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="not OUTPUT=INPUT"):
        _values.state(words)


@pytest.mark.parametrize(
    "word", ["128,32", "prompt=128", "prompt=0,tokens=3", "prompt=1,tokens=x", "prompt=1,tokens=2,k=3"]
)
def test_words_that_are_no_generation_are_refused(word: str) -> None:
    assert _values.generate("prompt=128,tokens=32") == Generate(prompt=128, tokens=32)
    with pytest.raises(UsageError, match="not prompt=N,tokens=N"):
        _values.generate(word)


@pytest.mark.parametrize(
    "word", ["sequence", "=128", "sequence=", "sequence=-1", "sequence=²", f"sequence={'9' * 5000}"]
)
def test_size_that_is_no_number_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=r"^--dim .*: not NAME=N"):
        _values.dims([word])
