"""A result as the tests of reading, writing and showing one need it."""

from edgesim.recording import Reading, Sample
from edgesim.result import (
    DeviceSection,
    DeviceTimeSection,
    Distribution,
    HostSection,
    ImageSection,
    LifecycleSection,
    ModelSection,
    ProfileSection,
    RequestsSection,
    ResourcesSection,
    RunResult,
    ScenarioSection,
    ValiditySection,
)


def emulated_and_invalid() -> RunResult:
    """Of one request, so that hardly a figure can be stated."""
    return RunResult(
        created="2026-01-02T03:04:05+00:00",
        edgesim_version="0.1.0",
        execution="emulated",
        profile=ProfileSection(name="jetson-nano", sha256="ab", title="NVIDIA Jetson Nano", mode="MAXN"),
        model=ModelSection(name="net", sha256="cd", version="1", size_bytes=1, parameters=1, opset=17),
        image=ImageSection(reference="edgesim/jetson:arm64", id="sha256:ef", base="debian", cached=True),
        host=HostSection(cpu="x", cores=2, memory_bytes=2**33, kernel="Linux", engine="Docker", emulator="QEMU 10"),
        device=DeviceSection(
            architecture="aarch64", cpu_model="cortex-a57", cores=2, memory_limit_bytes=2**30, cpu_limit=2.0,
            shortfalls=("cores: the board has 4, this host gives 2",),
        ),
        scenario=ScenarioSection(
            name="single-stream", requests=5, duration_s=3, warmup=0, seed=0, inputs="random, seed 0"
        ),
        lifecycle_s=LifecycleSection(image=0.1, create=0.2, ready=3.0, model_load=0.5, first_inference=2.5),
        stages_s={"load": 12.0},
        requests=RequestsSection(sent=1, ok=1, failed=0),
        latency_ms=Distribution(min=2500.0, mean=2500.0, max=2500.0),
        service_time_ms=Distribution(min=2500.0, mean=2500.0, max=2500.0),
        throughput_qps=0.4,
        resources=ResourcesSection(memory_peak_bytes=2**27, memory_peak_source="cgroup", memory_limit_bytes=2**30),
        device_time_ms=DeviceTimeSection(p50=None, low=None, high=None, method="none: nothing is predicted"),
        agreement=None,
        validity=ValiditySection(valid=False, reasons=("enough requests: 1 answered, 3 needed",)),
        samples=(Sample(0, 10, 2_500_000_000, "ok"),),
        timeline=(Reading(0, 1.0, 100),),
    )  # fmt: skip
