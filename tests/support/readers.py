"""Whatever reads a file of somebody else's, each with good files, their mutations, and what happens after reading."""

import contextlib
import hashlib
import io
import json
import random
import shutil
import tarfile
import tempfile
import wave
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hdrh.codec import ext_header_size
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image
from rich.console import Console
from ruamel.yaml import YAML

from edgesim import inputs, profiles
from edgesim.boards.limits import limits_of
from edgesim.cli import _commands, _default_options, _values
from edgesim.cli._comparison import side_by_side
from edgesim.cli._summaries import of_result
from edgesim.cli.profiles import _data_sheet
from edgesim.errors import EdgesimError
from edgesim.gates import baselines, replayed
from edgesim.gates.judge import judge
from edgesim.gates.rules import Rules
from edgesim.jobs import check_targets, measured_time, replay
from edgesim.jobs.check import _read_golden
from edgesim.measure import statistics
from edgesim.models import profiled_session, repository
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from edgesim.predictions import calibration, predict_or_decline
from edgesim.predictions.calibration import Calibration
from edgesim.printable import harmless, printable
from edgesim.recording import Phase, Reading, Sample
from edgesim.reports.comparison import Comparison
from edgesim.reports.formats import csv_rows, html, json_summary, junit, markdown, notebook, terminal
from edgesim.reports.overview import Overview
from edgesim.results.load import load
from edgesim.results.run_result import RunResult
from edgesim.results.sections import (
    AgreementSection,
    DeviceTimeSection,
    Distribution,
    EmulatorSection,
    EnergySection,
    GeneratorSection,
    HostLoadSection,
    InterleavedSection,
    Level,
    LimitSection,
    RequestsSection,
    Restart,
    RuleSection,
    ScalingSection,
    SearchSection,
    Spread,
    ThrottleSection,
    ValiditySection,
    section,
)
from edgesim.server import config_files
from edgesim.server.config import ConfigError
from edgesim.server.runtimes.external_weights import read_external_weights, require_inside
from edgesim.stacks import stack_loader
from edgesim.stacks.compose_file import Naming, text
from edgesim.stacks.resolve import resolve
from tests.support import bundles, mutation, results, trtexec, weights
from tests.support.input_models import model_with

ROOT = Path(__file__).parents[2]
GIB = 2**30


@dataclass(frozen=True)
class Reader:
    """A reader and what to fuzz it with.

    Attributes:
        write: writes a mutated file into an empty directory.
        read: reads the file, and uses what it says as edgesim would; raises one of `refusals` for a file that is wrong.
    """

    name: str
    write: Callable[[random.Random, Path], None]
    read: Callable[[Path], object]
    refusals: tuple[type[Exception], ...] = (EdgesimError,)


# --- YAML -------------------------------------------------------------------------------------------------------------


def _mutated_yaml(generator: random.Random, good: str) -> bytes:
    kind = generator.random()
    if kind < 0.45:
        return mutation.as_yaml(mutation.of_document(generator, _good_document(good))).encode(errors="surrogatepass")
    if kind < 0.75:
        return mutation.of_text(generator, good, mutation.YAML_WORDS).encode(errors="surrogatepass")
    if kind < 0.85:
        return mutation.of_lines(generator, good).encode(errors="surrogatepass")
    return mutation.of_bytes(generator, good.encode())


@cache
def _good_document(good: str) -> Any:
    """Return the document of a good text, which a mutation copies."""
    return YAML(typ="safe", pure=True).load(good)


@cache
def _board(word: str) -> profiles.DeviceProfile:
    """Return a profile that is not mutated: reading one takes longer than most of what is done with it."""
    return profiles.load(word)


_PROFILES = [(ROOT / "profiles" / f"{name}.yaml").read_text() for name in ("jetson-nano", "rk3588", "x86-gateway")]
_EXTENDING = """extends: jetson-nano
name: mine
title: My board
memory: {marketed_bytes: 2 GB, visible_bytes: 1.9 GiB}
cpu: {cores: 2, clock_hz: 1000000000}
modes: {slow: {cores: 1, clock_hz: 500000000}}
sources: [{facts: [cpu.cores], source: the board, confidence: weak}]
"""


def _write_profile(generator: random.Random, directory: Path) -> None:
    # Without comments, which a profile has many of and a parser passes over.
    good = "\n".join(line.split(" #")[0] for line in generator.choice(_PROFILES).splitlines() if line[:1] != "#")
    (directory / "board.yaml").write_bytes(_mutated_yaml(generator, good))


def _write_extending_profile(generator: random.Random, directory: Path) -> None:
    extended = ROOT / "profiles" / "jetson-nano.yaml"
    if generator.random() < 0.5:
        (directory / "board.yaml").write_bytes(_mutated_yaml(generator, _EXTENDING))
        return
    good = "\n".join(line.split(" #")[0] for line in extended.read_text().splitlines() if line[:1] != "#")
    (directory / "base.yaml").write_bytes(_mutated_yaml(generator, good))
    (directory / "board.yaml").write_text(_EXTENDING.replace("extends: jetson-nano", "extends: base.yaml"))


def _read_profile(directory: Path) -> None:
    profile = profiles.load(str(directory / "board.yaml"))
    for mode in (None, *profile.modes):
        board = profile.in_mode(mode)
        _ = board.sha256, board.reference, board.heated(), board.origins
        limits_of(board, host_cores=4, host_memory_bytes=8 * GIB)
        predict_or_decline(board, small_model())
        _shown(_data_sheet(board))


_STACK = """name: shop
profile: jetson-nano
entry: {service: app, request: {method: POST, path: /read, headers: {X-A: b}}}
services:
  detector: {models: [net], repository: models, memory: 512 MiB, cpus: 1.5}
  once:
    image: debian:12
    once: true
    command: [sh, -c, "echo $x"]
    mounts: [{volume: data, at: /data, writable: true}]
  app:
    packages: [python3, redis]
    command: [python3, /app.py]
    environment: {URL: "http://detector:8000", N: 3}
    mounts: [{bind: app.py, at: /app.py}]
    port: 8080
    publish: 18080
    healthy: [python3, -c, pass]
    after: {detector: healthy, once: completed}
    restart: on-failure:3
  built: {build: {context: ., dockerfile: Dockerfile, args: {a: b}, base: [bash]}, after: [app]}
"""


def _write_stack(generator: random.Random, directory: Path) -> None:
    (directory / "stack.yaml").write_bytes(_mutated_yaml(generator, _STACK))
    for name in ("app.py", "Dockerfile"):
        (directory / name).touch()
    place = directory / "models" / "net" / "1" / "model.onnx"
    place.parent.mkdir(parents=True)
    shutil.copyfile(small_model().path, place)


def _read_stack(directory: Path) -> None:
    stack_loader.is_stack(directory / "stack.yaml")
    stack = stack_loader.read(directory / "stack.yaml")
    resolved = resolve(stack, source=directory / "stack.yaml", host_cores=4, host_memory_bytes=8 * GIB)
    text(resolved, Naming(project="p", parent="/edgesim/p"))


_RULES = """rules:
  - device_time_ms.p50 <= 120
  - latency_ms.p50: +5 %
  - memory_peak_bytes <= 1.5 GiB
profiles:
  jetson-nano: [throughput_qps: -5 %, "accuracy >= 0.9"]
  raspberry-pi-4:1.4: ["energy_j <= 3"]
"""


def _write_rules(generator: random.Random, directory: Path) -> None:
    (directory / "rules.yaml").write_bytes(_mutated_yaml(generator, _RULES))


def _read_rules(directory: Path) -> None:
    judge(_scaled(), Rules.read(directory / "rules.yaml"), _scaled())


_CONFIG_YAML = """max_batch_size: 16
dynamic_batching: true
max_queue_delay_us: 500
preferred_batch_size: 8
graph_optimization_level: extended
execution_mode: parallel
enable_cpu_mem_arena: false
intra_op_threads: 2
version_policy: {specific: [1, 2]}
labels: {probabilities: labels.txt}
"""
_CONFIG_PBTXT = """name: "net"
platform: "onnxruntime_onnx"
max_batch_size: 8
version_policy: { latest: { num_versions: 2 } }
input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 4 ] label_filename: "labels.txt" } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }
optimization { graph { level: 1 } }
parameters { key: "intra_op_thread_count" value: { string_value: "2" } }
"""
_PBTXT_WORDS = (
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    ";",
    "0x",
    "1e999",
    "-1",
    '"\\777"',
    '"\\u12"',
    "'",
    "#",
    "[a.b/c.D] {",
    "²",
)


def _write_config_yaml(generator: random.Random, directory: Path) -> None:
    (directory / "net").mkdir()
    (directory / "net" / "labels.txt").write_text("a\nb\n")
    (directory / "net" / "config.yaml").write_bytes(_mutated_yaml(generator, _CONFIG_YAML))


def _write_config_pbtxt(generator: random.Random, directory: Path) -> None:
    (directory / "net").mkdir()
    (directory / "net" / "labels.txt").write_text("a\nb\n")
    kind = generator.random()
    if kind < 0.6:
        mutated = mutation.of_text(generator, _CONFIG_PBTXT, _PBTXT_WORDS).encode(errors="surrogatepass")
    elif kind < 0.8:
        mutated = mutation.of_lines(generator, _CONFIG_PBTXT).encode(errors="surrogatepass")
    else:
        mutated = mutation.of_bytes(generator, _CONFIG_PBTXT.encode())
    (directory / "net" / "config.pbtxt").write_bytes(mutated)


def _read_config(directory: Path) -> None:
    config = config_files.read(directory / "net")
    config_files.labels(config, directory / "net")
    config.versions.choose(["1", "2", "3"])


# --- TOML -------------------------------------------------------------------------------------------------------------

_TOML = """models = "edge/models"
engine = "local"
[run]
requests = 200
execution = "scaled"
shape = ["x=1,2"]
duration = 1.5
watch = false
[profiles.show]
json = true
"""
_TOML_WORDS = ("[", "]", "=", "[[run]]", "inf", "-nan", "1979-05-27T07:32:00Z", "{", '"""', "'''", "[" * 2000, "x.y.z")


def _write_toml(generator: random.Random, directory: Path) -> None:
    name = generator.choice(("edgesim.toml", "pyproject.toml"))
    good = (
        _TOML
        if name == "edgesim.toml"
        else _TOML.replace("models =", "[tool.edgesim]\nmodels =")
        .replace("\n[run]", "\n[tool.edgesim.run]")
        .replace("[profiles.show]", "[tool.edgesim.profiles.show]")
    )
    kind = generator.random()
    if kind < 0.6:
        mutated = mutation.of_text(generator, good, _TOML_WORDS).encode(errors="surrogatepass")
    elif kind < 0.8:
        mutated = mutation.of_lines(generator, good).encode(errors="surrogatepass")
    else:
        mutated = mutation.of_bytes(generator, good.encode())
    (directory / name).write_bytes(mutated)


def _read_toml(directory: Path) -> None:
    names = [entry.name for entry in _commands.COMMANDS]
    for name in ("run", "profiles"):
        _default_options.of_command(_commands.load(name), names, directory)


# --- JSON -------------------------------------------------------------------------------------------------------------


def _mutated_json(generator: random.Random, good: str) -> bytes:
    kind = generator.random()
    if kind < 0.65:
        return mutation.as_json(mutation.of_document(generator, json.loads(good))).encode(errors="surrogatepass")
    if kind < 0.8:
        words = ("NaN", "-Infinity", "1e999", "[" * 5000, '"\\ud800"', "9" * 5000, "{}", "null", "//")
        return mutation.of_text(generator, good, words).encode(errors="surrogatepass")
    return mutation.of_bytes(generator, good.encode())


def _scaled() -> RunResult:
    """Return the result of a run that was scaled and emulated, with every optional section."""
    emulated = results.emulated_and_invalid()
    samples = tuple(Sample(i * 10**7, i * 10**7, i * 10**7 + 10**6 * (5 + i % 7), "ok") for i in range(40))
    times = section(Distribution, statistics.summarise([sample.latency_ms for sample in samples]))
    level = Level(
        qps=20,
        achieved_qps=19.0,
        requests=40,
        failed=0,
        latency_ms=times,
        service_time_ms=times,
        lag_ms=times,
        valid=True,
        held=True,
    )
    restarts = tuple(
        Restart(
            lifecycle_s=emulated.lifecycle_s,
            first_sample=first,
            samples=20,
            latency_ms=times,
            service_time_ms=times,
            cpu_seconds=1.0,
            memory_peak_bytes=2**27,
            throughput_qps=19.0,
        )
        for first in (0, 20)
    )
    return emulated.model_copy(
        update={
            "execution": "scaled",
            "emulated": emulated,
            "latency_ms": times,
            "service_time_ms": times,
            "lag_ms": times,
            "query_latency_ms": times,
            "requests": RequestsSection(sent=40, ok=40, failed=0, error_rate=0.0),
            "generator": GeneratorSection(cpu_seconds=0.1, cpu_percent=1.0, cpu_us_per_request=90.0, connections=1),
            "emulator_memory": EmulatorSection(floor_bytes=2**26, native_bytes=2**25, share_bytes=2**25),
            "host_load": HostLoadSection(
                seconds=6, busy_percent=50, others_percent=1, steal_percent=0, thermal_throttles=0, frequency_percent=99
            ),
            "device": emulated.device.model_copy(
                update={"limits": (LimitSection(name="memory_bytes", requested=2**30, applied=2**30, proven=True),)}
            ),
            "device_time_ms": DeviceTimeSection(
                p50=45.9, low=29.9, high=70.4, method="predicted", notes=("no source",)
            ),
            "energy_j": EnergySection(per_inference=0.4, above_idle=0.2, method="watts"),
            "scaling": ScalingSection(
                share=0.1,
                quota_us=5000,
                period_us=50000,
                threads=2,
                method="by its share",
                models=(results.scaled_model(),),
                busy_percent=80,
                throttle=ThrottleSection(after_s=3, clock_hz=10**9, target_ms=60, before_ms=46, after_ms=60),
            ),
            "agreement": AgreementSection(
                compared=8, max_abs_difference=1e-6, same_class=1.0, accuracy_device=0.97, accuracy_host=0.97
            ),
            "search": SearchSection(percentile="p99", limit_ms=50, peak_qps=20),
            "levels": (level, level),
            "restarts": restarts,
            "spread": {"latency_ms": Spread(mean=7.0, within=1.0, between=0.1)},
            "interleaved": InterleavedSection(job="ab", side="base", looks=(2,), requests=20),
            "validity": ValiditySection(
                valid=True,
                suspect=True,
                suspicions=("host quiet: others took 40 %",),
                rules=(RuleSection(name="host quiet", verdict="suspect", finding="others took 40 %"),),
            ),
            "phases": (Phase("load", 0, 4 * 10**8),),
            "timeline": tuple(Reading(i * 10**8, 0.1 * i, 10**7 + i, 2**27, "cgroup", 0.01 * i) for i in range(6)),
            "samples": samples,
        }
    )


def _write_result(generator: random.Random, directory: Path) -> None:
    good = generator.choice((_scaled(), results.emulated_and_invalid()))
    (directory / "r.json").write_bytes(_mutated_json(generator, good.as_json(indented=generator.random() < 0.5)))


def _write_stack_result(generator: random.Random, directory: Path) -> None:
    good = results.of_a_stack(requests=generator.choice((0, 20)))
    (directory / "r.json").write_bytes(_mutated_json(generator, good.as_json()))


def _read_result(directory: Path) -> None:
    path = directory / "r.json"
    result = load(path)
    of_result(result)
    if isinstance(result, RunResult):
        _shown(terminal.render_result(result))
        for format_ in (markdown, junit, csv_rows, json_summary):
            format_.render_result(result, "r.json")
        _ = repr(result), result.as_json()
        # What takes a second is done for one file in twenty.
        if int(hashlib.sha256(path.read_bytes()).hexdigest(), 16) % 20:
            return
        notebook.render(result)
        html.render_result(result, "r.json")
        rules = Rules.of(["memory_peak_bytes <= 1GiB", "device_time_ms.p50: +5 %", "energy_j <= 3", "accuracy >= 0.1"])
        judge(result, rules, result)
        comparison, overview = side_by_side([path] * 2, force=True), side_by_side([path] * 3, force=True)
        assert isinstance(comparison, Comparison)
        assert isinstance(overview, Overview)
        _shown(terminal.render_comparison(comparison))
        _shown(terminal.render_overview(overview))
        for format_ in (markdown, html, csv_rows, json_summary):
            format_.render_comparison(comparison)
            format_.render_overview(overview)
        baselines.save(result, directory / "baselines")
        baselines.find(directory / "baselines", result)
    else:
        _shown(terminal.render_stack(result))
        for format_ in (markdown, junit, csv_rows, json_summary):
            format_.render_stack(result, "r.json")
        _ = repr(result), result.as_json(), notebook.render(result)
        if int(hashlib.sha256(path.read_bytes()).hexdigest(), 16) % 20 == 0:
            html.render_stack(result, "r.json")


def _write_baseline(generator: random.Random, directory: Path) -> None:
    path = baselines.save(_scaled(), directory)
    if generator.random() < 0.5:
        path.write_bytes(_mutated_json(generator, path.read_text()))
        return
    # As whoever can write the file can write its digests.
    document = json.loads(path.read_text())
    if generator.random() < 0.3:
        for part in (document["result"], *document["result"]["restarts"]):
            times = part["latency_ms"]
            times["histogram"] = mutation.of_compressed(generator, times["histogram"], ext_header_size)
    else:
        document["result"] = mutation.of_document(generator, document["result"])
    with contextlib.suppress(Exception):
        document["digest"] = hashlib.sha256(json.dumps(document["result"], sort_keys=True).encode()).hexdigest()[:12]
        result = RunResult.model_validate({"timeline": [], "samples": [], **document["result"]})
        document["fingerprint"] = baselines.fingerprint(result)
    path.write_bytes(mutation.as_json(document).encode(errors="surrogatepass"))


def _read_baseline(directory: Path) -> None:
    (path,) = directory.glob("*.json")
    rules = Rules.of(["memory_peak_bytes: +5 %", "device_time_ms.p50: +5 %"])
    refused = None
    for find in (baselines.read_result, lambda path: baselines.read(path).result):
        try:
            judge(_scaled(), rules, find(path))
        except EdgesimError as error:
            refused = error
    baseline, _ = baselines.find(directory, _scaled())
    if refused is not None:
        raise refused
    # A bootstrap over the times, which come from the baseline's histogram, takes longer than all the rest: once.
    judge(_scaled(), Rules.of(["memory_peak_bytes: +5 %", "latency_ms.p99: +5 %"]), baseline)


@cache
def _extending_board() -> profiles.DeviceProfile:
    path = Path(tempfile.mkdtemp(prefix="readers-")) / "mine.yaml"
    path.write_text(_EXTENDING)
    return profiles.load(str(path))


def _write_calibration(generator: random.Random, directory: Path) -> None:
    profile = _extending_board()
    good = Calibration(
        profile=profile.reference, profile_sha256=profile.sha256, models=("a", "b"), log_ratios=(0.1, -0.2)
    )
    path = calibration.write(profile, good)
    path.write_bytes(_mutated_json(generator, path.read_text()))


def _read_calibration(directory: Path) -> None:
    profile = _extending_board()
    if (known := calibration.find(profile)) is not None:
        _ = known.factor, known.variance, known.source
    answer = predict_or_decline(profile, small_model())
    _ = repr(answer)


_TRTEXEC_WORDS = (
    *("&&&& FAILED", "&&&& RUNNING TensorRT.trtexec [TensorRT v99999] # --int8", "inf", "nan", "1e400", "9" * 4000),
    *("Precision: FP8", "dimensions 999999999999999x1", "x=" + "1x" * 300 + "1", "--loadEngine='", "\x1b[31m"),
)


def _write_trtexec(generator: random.Random, directory: Path) -> None:
    kind = generator.random()
    path = directory / "measured"
    if kind < 0.3:
        exported = generator.choice((trtexec.export_times(), trtexec.export_profile({"Conv_0 + Relu_1": 1.0})))
        path.write_bytes(_mutated_json(generator, exported))
        return
    log = trtexec.log(
        release=generator.choice(("8.2", "10.3")),
        model=generator.choice(("net.onnx", "other.onnx")),
        inputs={"x": "1x4"},
        outputs={"y": "1x4"},
        ending=generator.choice(("PASSED", "PASSED", "FAILED", "")),
    )
    if kind < 0.6:
        path.write_bytes(mutation.of_text(generator, log, _TRTEXEC_WORDS).encode(errors="surrogatepass"))
    elif kind < 0.8:
        path.write_bytes(mutation.of_lines(generator, log).encode())
    else:
        path.write_bytes(mutation.of_bytes(generator, log.encode(generator.choice(("utf-8", "utf-16")))))


def _read_trtexec(directory: Path) -> None:
    word = f"{small_model().path}={directory / 'measured'}"
    time = measured_time.read(word, _board("jetson-nano"), "gpu:tensorrt-fp16")
    assert 0 < time.ms < 1e9
    assert all(remark == printable(remark) for remark in time.remarks)


# --- arrays -----------------------------------------------------------------------------------------------------------

_ARRAYS: dict[str, NDArray[Any]] = {
    "x": np.arange(16, dtype=np.float32).reshape(4, 4),
    "labels": np.arange(4),
}
_SHAPES = ("(4, 4)", "(-1, 4)", "()", "(10**15,)", "(0, 0)", "(99999999999999, 99999999)", "(4, 4", "(4.0,)", "(None,)")
_TYPES = (
    "'<f4'",
    "'|O'",
    "'<f8'",
    "'<M8[s]'",
    "'<U9'",
    "'|V8'",
    "[('a', '<f4')]",
    "'<c8'",
    "'|b1'",
    "'x'",
    "('<f4', 9)",
)


def _npy(generator: random.Random, values: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(values))
    content = file.getvalue()
    kind = generator.random()
    if kind < 0.3:
        content = content.replace(b"(4, 4)", generator.choice(_SHAPES).encode(), 1)
    elif kind < 0.6:
        content = content.replace(b"'<f4'", generator.choice(_TYPES).encode(), 1)
    elif kind < 0.8:
        content = mutation.of_bytes(generator, content)
    return content


def _write_arrays(generator: random.Random, directory: Path) -> None:
    (directory / "good").mkdir()
    if generator.random() < 0.2:
        (directory / "good" / "x.npy").write_bytes(_npy(generator, _ARRAYS["x"][:1]))
        return
    file = io.BytesIO()
    method = generator.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, values in _ARRAYS.items():
            if generator.random() < 0.9:
                archive.writestr(generator.choice((f"{name}.npy",) * 9 + (name,)), _npy(generator, values))
        if generator.random() < 0.1:
            archive.writestr(generator.choice(("../x.npy", "y.npy", "\x1b.npy")), _npy(generator, _ARRAYS["x"]))
        if generator.random() < 0.02:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00v\x00" + bytes(2**26))
    content = file.getvalue()
    if generator.random() < 0.4:
        content = mutation.of_bytes(generator, content)
    (directory / "good" / "x.npz").write_bytes(content)


def _read_arrays(directory: Path) -> None:
    (file,) = (directory / "good").iterdir()
    with contextlib.suppress(EdgesimError):
        _read_golden(file, [{"x": _ARRAYS["x"][:1]}])
    with contextlib.suppress(EdgesimError):
        inputs.choose(small_model(), InputOptions(input=directory / "good"))
    path = file if file.suffix == ".npz" else directory / "good"
    chosen = inputs.choose(small_model(), InputOptions(input=path))
    assert {name: values.dtype.str for name, values in chosen.requests[0].items()} == {"x": "<f4"}


_INPUTS = """dims: {n: 2, m: 3}
inputs:
  x: {range: [0, 1.5], shape: [2, 4]}
  ids: {one_of: [[1, 2, 3], {file: ids.npy}, 7, ones]}
  text: {lines: lines.txt}
  words: [[a, b], [c, 1]]
  image: {file: "*.png", normalize: unit, colors: bgr, fit: letterbox}
  sound: {file: a.wav, rate: 8000}
  size: {length_of: ids, axis: 1}
  flag: true
"""


@cache
def _inputs_model() -> Model:
    """Return a model that takes every kind of input that a file of inputs can give."""
    integer, text = TensorProto.INT64, TensorProto.STRING
    taken: dict[str, tuple[int, list[int | str]]] = {
        "x": (TensorProto.FLOAT, ["n", 4]),
        "ids": (integer, ["n", "m"]),
        "text": (text, ["k", 1]),
        "words": (text, ["n", "n"]),
        "image": (TensorProto.FLOAT, [1, 3, "h", "w"]),
        "sound": (TensorProto.FLOAT, [1, "samples"]),
        "size": (integer, []),
        "flag": (TensorProto.BOOL, []),
    }
    return model_with(Path(tempfile.mkdtemp(prefix="readers-")) / "net.onnx", taken)


def _write_inputs(generator: random.Random, directory: Path) -> None:
    np.save(directory / "ids.npy", np.ones((2, 3), np.int64))
    (directory / "lines.txt").write_text("one\ntwo\n")
    picture, sound = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(picture, "PNG")
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 8000, 4, "NONE", "not compressed"))
        file.writeframes(bytes(8))
    contents = {"a.png": picture.getvalue(), "a.wav": sound.getvalue()}
    broken = generator.choice((None, *contents))
    for name, content in contents.items():
        (directory / name).write_bytes(mutation.of_bytes(generator, content) if name == broken else content)
    good = _INPUTS.encode()
    (directory / "inputs.yaml").write_bytes(good if broken else _mutated_yaml(generator, _INPUTS))


def _read_inputs(directory: Path) -> None:
    chosen = inputs.choose(_inputs_model(), InputOptions(inputs_file=directory / "inputs.yaml"))
    for request in chosen.requests:
        assert all(tensor.fits(request[tensor.name].shape) for tensor in _inputs_model().inputs)


# --- ONNX -------------------------------------------------------------------------------------------------------------


@cache
def small_model() -> Model:
    """Return a model of one node, which takes and gives four floats for each sample."""
    path = Path(tempfile.mkdtemp(prefix="readers-")) / "net.onnx"
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return repository.read(path, name="net")


def _mutated_model(generator: random.Random, path: Path) -> None:
    kind = generator.random()
    if kind < 0.7:
        proto = onnx.load(path, load_external_data=False)
        mutation.of_message(generator, proto)
        path.write_bytes(proto.SerializeToString())
    else:
        path.write_bytes(mutation.of_bytes(generator, path.read_bytes()))


def _write_model(generator: random.Random, directory: Path) -> None:
    path = directory / "net" / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    kind = generator.random()
    if kind < 0.4:
        shutil.copyfile(small_model().path, path)
    elif kind < 0.5:
        weights.write_with_weights(path)
    else:
        place = generator.choice(("branch", "loop", "constant", "function", "sparse"))
        weights.write_nested(path, "w.bin", place)
        (path.parent / "w.bin").write_bytes(weights.VALUES.tobytes())
    _mutated_model(generator, path)


def _read_model(directory: Path) -> None:
    profiled_session.MOST_S = 5  # a mutated loop may turn for years
    model = repository.find("net", directory)
    _ = model.signature
    with contextlib.suppress(EdgesimError):
        inputs.choose(model, InputOptions())
    answer = predict_or_decline(_board("jetson-nano"), model)
    _ = repr(answer)
    for item in check_targets.items(_board("jetson-nano"), model):
        assert item.finding == harmless(item.finding)


def _read_served_model(directory: Path) -> None:
    path = directory / "net" / "1" / "model.onnx"
    read_external_weights(path, require_inside(path))


# --- words of options -------------------------------------------------------------------------------------------------

_WORDS: Sequence[tuple[str, Callable[[str], object]]] = (
    ("10,20,40", _values.rates),
    ("p99:5%", _values.precision),
    ("x=1,3,640,640", lambda word: _values.shapes([word])),
    ("sequence=128", lambda word: _values.dims([word])),
    ("x=0:30521", lambda word: _values.ranges([word])),
    ("1e-3,1e-4", _values.tolerance),
    ("50MiB", lambda word: _values.size(word, "--max-artifact")),
    ("0,1", _values.cores),
    ("50ms", lambda word: _values.peak(True, word)),
    ("latency_ms.p50 <= 5", lambda word: Rules.of([word])),
    ("memory_peak_bytes <= 5 GiB", lambda word: Rules.of([word])),
    ("jetson-nano:5w", profiles.load),
)


def _write_word(generator: random.Random, directory: Path) -> None:
    number = generator.randrange(len(_WORDS))
    good = _WORDS[number][0]
    nasty = [str(value) for value in mutation.NASTY if isinstance(value, str | float)]
    parts = [part for part in good.replace(",", " , ").replace("=", " = ").replace(":", " : ").split(" ") if part]
    if generator.random() < 0.7:
        parts[generator.randrange(len(parts))] = generator.choice(
            (*nasty, "inf", "nan", "-1", "0", "1e400", "1_0", "+5")
        )
        word = "".join(parts)
    else:
        word = mutation.of_bytes(generator, good.encode()).decode(errors="surrogateescape")
    (directory / "word").write_text(f"{number} {word}", encoding="utf-8", errors="surrogatepass", newline="")


def _read_word(directory: Path) -> None:
    number, _, word = (directory / "word").read_bytes().decode(errors="surrogatepass").partition(" ")
    _WORDS[int(number)][1](word)


def _shown(renderable: Any) -> str:
    output = io.StringIO()
    Console(width=80, file=output, markup=False, highlight=False).print(renderable)
    return output.getvalue()


# --- bundles ----------------------------------------------------------------------------------------------------------


@cache
def _good_bundle() -> bytes:
    return bundles.written(Path(tempfile.mkdtemp(prefix="readers-"))).read_bytes()


def _write_bundle(generator: random.Random, directory: Path) -> None:
    """Write a bundle with bytes changed; or with a manifest that is changed, as whoever can write it can."""
    content = _good_bundle()
    if generator.random() < 0.6:
        (directory / "b.tar").write_bytes(mutation.of_bytes(generator, content))
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as tar, tarfile.open(directory / "b.tar", "w") as target:
        for member in tar:
            stream = tar.extractfile(member)
            data = stream.read() if stream is not None else b""
            if member.name == "manifest.json":
                data = _mutated_json(generator, data.decode())
            member.size = len(data)
            target.addfile(member, io.BytesIO(data))


def _read_bundle(directory: Path) -> None:
    (directory / "unpacked").mkdir()
    unpacked = replay.unpack(directory / "b.tar", directory / "unpacked")
    assert all(path.resolve().is_relative_to(directory.resolve()) for path in directory.rglob("*"))
    replayed.judge(unpacked.result, unpacked.result, digests="all")
    inputs.choose(unpacked.model, unpacked.options.inputs)


READERS = {
    reader.name: reader
    for reader in (
        Reader("profile", _write_profile, _read_profile),
        Reader("extending profile", _write_extending_profile, _read_profile),
        Reader("stack", _write_stack, _read_stack),
        Reader("rules", _write_rules, _read_rules),
        Reader("config.yaml", _write_config_yaml, _read_config, (ConfigError,)),
        Reader("config.pbtxt", _write_config_pbtxt, _read_config, (ConfigError,)),
        Reader("edgesim.toml", _write_toml, _read_toml),
        Reader("result", _write_result, _read_result),
        Reader("result of a stack", _write_stack_result, _read_result),
        Reader("baseline", _write_baseline, _read_baseline),
        Reader("calibration", _write_calibration, _read_calibration),
        Reader("trtexec", _write_trtexec, _read_trtexec),
        Reader("arrays", _write_arrays, _read_arrays),
        Reader("inputs file", _write_inputs, _read_inputs),
        Reader("model", _write_model, _read_model),
        Reader("served model", _write_model, _read_served_model, (ValueError, OSError)),
        Reader("bundle", _write_bundle, _read_bundle),
        Reader("option", _write_word, _read_word),
    )
}
