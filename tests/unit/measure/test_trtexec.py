"""Logs and exported files of trtexec, as people have them."""

from pathlib import Path

import pytest

from edgesim.errors import UsageError
from edgesim.measure.trtexec import TrtexecTime, read
from tests.support import trtexec


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trtexec.log"


def read_text(path: Path, text: str, encoding: str = "utf-8") -> TrtexecTime:
    path.write_bytes(text.encode(encoding))
    return read(path)


@pytest.mark.parametrize("release", ["8.2", "10.3"])
def test_a_log_tells_the_time_and_what_it_was_measured_on(path: Path, release: str) -> None:
    time = read_text(path, trtexec.log(release=release))
    assert time.ms == pytest.approx(11.4)
    assert time.model == "/home/me/resnet18.onnx"
    assert time.precision == "fp16"
    assert time.release == {"8.2": "8.2.1", "10.3": "10.3.0"}[release]
    assert time.inputs == {"input": (1, 3, 224, 224)}
    assert time.outputs == {"probabilities": (1, 1000)}
    assert (time.compute_capability, time.units) == ("5.3", 1)
    assert time.clock_hz == pytest.approx(921.6e6)


@pytest.mark.parametrize(
    "form",
    [
        trtexec.log(stamped=False),
        trtexec.log().replace("\n", "\r\n"),
        "".join(f"> {line}\n" for line in trtexec.log().splitlines()),
        "".join(f"trt-1  | {line}\n" for line in trtexec.log().splitlines()),
        "".join(f"    # {line}\n" for line in trtexec.log().splitlines()),
        f"me@nano:~$ ./run.sh\n{trtexec.log()}\nme@nano:~$ ",
        "".join(f"\x1b[32m{line}\x1b[0m\n" for line in trtexec.log().splitlines()),
    ],
    ids=["unstamped", "CRLF", "quoted", "compose", "comment", "terminal", "colours"],
)
def test_a_log_is_read_as_people_have_it(path: Path, form: str) -> None:
    time = read_text(path, form)
    assert time.ms == pytest.approx(11.4)
    assert time.precision == "fp16"
    assert time.inputs == {"input": (1, 3, 224, 224)}


def test_a_log_that_powershell_wrote_is_read(path: Path) -> None:
    assert read_text(path, trtexec.log(), "utf-16").ms == pytest.approx(11.4)


def test_a_pasted_summary_alone_tells_the_time(path: Path) -> None:
    summary = trtexec.log().partition("=== Performance summary ===")[2].partition("&&&&")[0]
    time = read_text(path, summary)
    assert time.ms == pytest.approx(11.4)
    assert (time.model, time.precision, time.inputs) == (None, None, {})


def test_a_summary_that_lost_some_of_its_equals_signs_tells_the_time(path: Path) -> None:
    line = "GPU Compute Time: min = 11.2 ms, max 12.7 ms, mean 11.45 ms, median 11.4 ms, percentile(99%) 12.6 ms"
    assert read_text(path, f"Throughput: 87.7 qps\n{line} Total Host Walltime: 3.05 s\n").ms == pytest.approx(11.4)


def test_a_log_of_release_7_tells_the_time_of_the_gpu_alone(path: Path) -> None:
    time = read_text(path, trtexec.log_of_release_7())
    assert time.ms == pytest.approx(11.4)
    assert (time.model, time.precision) == ("/home/me/resnet18.onnx", "fp16")
    whole = trtexec.log_of_release_7()
    with pytest.raises(UsageError, match="cut off"):
        read_text(path, whole[: whole.index("GPU Compute")])


def test_pasted_gpu_latencies_alone_give_their_mean(path: Path) -> None:
    line = (
        "[08/29/2023-19:20:35] [I] Average on 10 runs - GPU latency: {} ms - Host latency: 15.0 ms (enqueue 2.1 ms)\n"
    )
    time = read_text(path, "".join(line.format(ms) for ms in (11.3, 11.4, 11.5)))
    assert time.ms == pytest.approx(11.4)
    assert time.what == "mean of 3 averages of the GPU latency of trtexec"
    cut = "&&&& RUNNING TensorRT.trtexec [TensorRT v8201] # trtexec --onnx=net.onnx\n" + line.format(11.3)
    with pytest.raises(UsageError, match="is cut off"):
        read_text(path, cut)


def test_a_log_without_a_version_in_its_banner_states_it_in_a_line(path: Path) -> None:
    text = trtexec.log().replace(" [TensorRT v8201]", "").replace("SMs: 1", "SMs: 1\nTensorRT version: 8.2.1")
    assert read_text(path, text).release == "8.2.1"


@pytest.mark.parametrize("clock", ["Compute Clock Rate", "Application Compute Clock Rate"])
def test_the_clock_of_the_gpu_is_read_by_both_of_its_names(path: Path, clock: str) -> None:
    assert read_text(path, trtexec.log(clock=clock)).clock_hz == pytest.approx(921.6e6)


@pytest.mark.parametrize(("profile", "profiled"), [("Disabled", False), ("Enabled", True)])
def test_a_run_that_timed_its_layers_is_told_from_one_that_did_not(path: Path, profile: str, profiled: bool) -> None:
    assert read_text(path, trtexec.log(profile=profile)).profiled == profiled


def test_no_log_that_is_cut_off_anywhere_passes_for_a_whole_one(path: Path) -> None:
    whole = trtexec.log()
    last_line = whole.rindex("&&&& PASSED TensorRT.trtexec")
    for end in range(0, last_line, 37):
        with pytest.raises(UsageError, match=r"cut off|no log of trtexec"):
            read_text(path, whole[:end])
    for end in range(last_line, last_line + len("&&&& PASSED TensorRT.trtexec")):
        with pytest.raises(UsageError, match="is cut off"):
            read_text(path, whole[:end])


def test_a_pasted_summary_that_is_cut_off_is_refused(path: Path) -> None:
    summary = trtexec.log().partition("=== Performance summary ===")[2]
    with pytest.raises(UsageError, match="cut off within its line GPU Compute Time"):
        read_text(path, summary.partition("GPU Compute Time")[0] + "GPU Compute Time: min = 11.2 ms, max")


def test_a_failed_run_is_refused_with_its_first_error(path: Path) -> None:
    with pytest.raises(UsageError, match=r"trtexec failed: Error\[4\].*int8 is not configured"):
        read_text(path, trtexec.log(ending="FAILED"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (trtexec.log(median_ms=11.4) + trtexec.log(median_ms=30.0), "more than one run"),
        (trtexec.log(streams=4), "measured with 4 streams"),
        (trtexec.log(batch="8"), "measured with a batch of 8"),
        (trtexec.log(batch="9" * 5000), "measured with a batch of 9999"),
        (trtexec.log(dla="0(With GPU fallback)"), "measured on the DLA"),
        (trtexec.log(median_ms=0.2).replace("median = 0.2 ms", "median = 0 ms"), "is not the time of an inference"),
        ("Throughput: 28 qps\n", "no log of trtexec"),
        ("", "no log of trtexec"),
        ('[{"a": 1}]', "neither of trtexec's --exportTimes"),
        ("[1, 2", "nor whole JSON"),
        ("[]", "neither of trtexec's --exportTimes"),
    ],
)
def test_a_file_without_the_time_of_one_inference_is_refused(path: Path, text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_text(path, text)


def test_an_engine_says_nothing_of_its_precision(path: Path) -> None:
    time = read_text(path, trtexec.log(engine="/home/me/resnet18.engine", precision="FP32"))
    assert (time.is_engine, time.model, time.precision) == (True, "/home/me/resnet18.engine", None)


@pytest.mark.parametrize(
    ("stated", "precision"), [("FP32", "fp32"), ("FP32+FP16+INT8", "int8"), ("FP32+INT8 (Sparsity)", "int8")]
)
def test_the_precision_is_the_lowest_that_the_builder_could_choose(path: Path, stated: str, precision: str) -> None:
    assert read_text(path, trtexec.log(precision=stated)).precision == precision


@pytest.mark.parametrize("start_and_end", [False, True])
def test_exported_times_give_their_median(path: Path, start_and_end: bool) -> None:
    time = read_text(path, trtexec.export_times(11.4, start_and_end=start_and_end))
    assert time.ms == pytest.approx(11.4)
    assert "3 inferences" in time.what


def test_exported_times_that_are_cut_off_are_refused(path: Path) -> None:
    whole = trtexec.export_times()
    for end in range(1, len(whole) - 2, 11):
        with pytest.raises(UsageError, match=r"nor whole JSON|no log of trtexec"):
            read_text(path, whole[:end])


def test_an_exported_profile_gives_the_sum_of_its_layers(path: Path) -> None:
    time = read_text(path, trtexec.export_profile({"conv1 + relu1": 1.5, "fc": 0.25}))
    assert time.ms == pytest.approx(1.75)
    assert time.layers == ("conv1 + relu1", "fc")


def test_a_file_that_is_not_there_or_endless_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.log", Path("/dev/zero"), tmp_path):
        with pytest.raises(UsageError, match="cannot read"):
            read(path)
