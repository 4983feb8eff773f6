"""Results for the tests that read, write and show results."""

from edgesim.measure import statistics
from edgesim.recording import Phase, Reading, Sample
from edgesim.results.run_result import RunResult
from edgesim.results.sections import (
    ComparedSection,
    CountSection,
    DeviceSection,
    DeviceTimeSection,
    Distribution,
    HostSection,
    ImageSection,
    InstructionsSection,
    LifecycleSection,
    ModelSection,
    ProfileSection,
    RequestsSection,
    ResourcesSection,
    RuleSection,
    ScaledModelSection,
    ScenarioSection,
    ShareTry,
    ValiditySection,
    section,
)
from edgesim.results.stack_result import BudgetSection, ServiceSection, StackResult, StackSection


def emulated_and_invalid() -> RunResult:
    """Return the result of an emulated run with one request, so that hardly any figure can be stated."""
    return RunResult(
        created="2026-01-02T03:04:05+00:00",
        edgesim_version="0.1.0",
        execution="emulated",
        profile=ProfileSection(name="jetson-nano", sha256="ab", title="NVIDIA Jetson Nano", mode="MAXN"),
        model=ModelSection(name="net", sha256="cd", version="1", size_bytes=1, parameters=1, opset=17),
        image=ImageSection(reference="edgesim/jetson:arm64", id="sha256:ef", base="debian", cached=True),
        host=HostSection(cpu="x", cores=2, memory_bytes=2**33, kernel="Linux", engine="Docker", emulator="QEMU 10"),
        device=DeviceSection(
            architecture="aarch64",
            cpu_model="cortex-a57",
            cores=2,
            memory_limit_bytes=2**30,
            cpu_limit=2.0,
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
    )


def counted(inference: tuple[int, int, int], *, request: int = 2_000_000) -> RunResult:
    """Return a valid count with the smallest, median and largest number of instructions of an inference."""
    result = emulated_and_invalid()

    def section(low: int, p50: int, high: int) -> CountSection:
        return CountSection(
            p50=p50, low=low, high=high, samples=9, by_class={"scalar": p50}, loaded_bytes=1, stored_bytes=1
        )

    instructions = InstructionsSection(
        inference=section(*inference),
        request=section(request, request, request),
        threads=1,
        method="QEMU 10.0.2, counting",
    )
    return result.model_copy(
        update={"instructions": instructions, "validity": ValiditySection(valid=True), "complete": True}
    )


def scaled_model() -> ScaledModelSection:
    """Return the tuning of a model that was slowed down to 40 ms, in one try."""
    return ScaledModelSection(
        name="net",
        target_ms=40.0,
        host_ms=6.0,
        host_cpu_ms=5.5,
        pace_ms=39.0,
        calibrated_ms=40.2,
        tries=(ShareTry(share=0.25, pace_ms=39.5, requests=30, p50_ms=40.5, high_ms=41.0),),
        check_ms=40.4,
        error_percent=1.0,
    )


def of_a_stack(*, requests: int = 200) -> StackResult:
    """Return the result of an application with a detector that was killed once; of steps alone if `requests` is 0."""
    samples = tuple(Sample(i * 10**7, i * 10**7, i * 10**7 + 10**6 * (5 + i % 7), "ok") for i in range(requests))
    latency = section(Distribution, statistics.summarise([sample.latency_ms for sample in samples]))
    image = ImageSection(reference="edgesim/jetson:arm64", id="sha256:ef", base="debian", cached=True)

    def readings(service: int, share: float) -> tuple[Reading, ...]:
        return tuple(
            Reading(i * 10**8 + service * 10**6, share * i * 0.1, 10**7 * (service + 1) + i) for i in range(-5, 20)
        )

    detector = ServiceSection(
        kind="service",
        image=image,
        models=("net",),
        state="running",
        health="healthy",
        ran_s=3.0,
        restarts=1,
        killed=1,
        memory_limit_bytes=2**29,
        resources=ResourcesSection(cpu_seconds=1.5, memory_peak_bytes=2**28),
    )
    app = ServiceSection(
        kind="service",
        image=image,
        state="running",
        ran_s=3.0,
        restarts=0,
        killed=0,
        resources=ResourcesSection(cpu_seconds=0.5, cpu_percent_of_board=12.5, memory_peak_bytes=2**25),
    )
    return StackResult(
        created="2026-01-02T03:04:05+00:00",
        edgesim_version="0.1.0",
        execution="emulated",
        stack=StackSection(name="shop|floor", sha256="ab", entry="app" if requests else None, request="GET /read"),
        profile=ProfileSection(name="jetson-nano", sha256="ab", title="NVIDIA Jetson Nano", mode="MAXN"),
        host=HostSection(cpu="x", cores=2, memory_bytes=2**33, kernel="Linux", engine="Docker", emulator="QEMU 10"),
        budget=BudgetSection(
            parent="/edgesim/shop",
            memory_bytes=2**30,
            cpus=2.0,
            processes=100,
            shortfalls=("storage rate: none",),
            overcommit="the services' limits are 3.5 GiB together",
        ),
        scenario=ScenarioSection(
            name="single-stream", requests=requests, duration_s=3, warmup=0, seed=0, inputs="GET /read"
        )
        if requests
        else None,
        stages_s={"load": 2.0},
        first_request_s=0.25 if requests else None,
        requests=RequestsSection(sent=requests, ok=requests, failed=0),
        latency_ms=latency,
        service_time_ms=latency,
        lag_ms=section(Distribution, statistics.summarise([0.0] * requests)),
        throughput_qps=100.0 if requests else None,
        generator=None,
        resources=ResourcesSection(
            source="cgroup v1", cpu_seconds=2.0, memory_peak_bytes=2**28, memory_limit_bytes=2**30, oom_kills=1
        ),
        services={"detector": detector, "app": app},
        host_load=None,
        validity=ValiditySection(
            valid=False,
            reasons=("nothing killed: detector was, once",),
            rules=(RuleSection(name="nothing killed", verdict="invalid", finding="detector was, once"),),
        ),
        phases=(Phase("load", 0, 2 * 10**9),),
        timeline=readings(2, 1.0),
        timelines={"detector": readings(0, 0.75), "app": readings(1, 0.25)},
        samples=samples,
    )


def on_the_board(result: RunResult) -> RunResult:
    """Return the result as of a run on a host that has proven to be the board, whose times are the board's."""
    compared = (ComparedSection(name="core", host="Cortex-A57", profile="Cortex-A57", agrees=True),)
    proof = {"same_architecture": True, "is_the_board": True, "compared": compared}
    return result.model_copy(update={"execution": "native", "host": result.host.model_copy(update=proof)})


def beside_the_board(result: RunResult, not_scaled: str | None = "this host is too slow") -> RunResult:
    """Return the result as of a run on another host of the board's architecture, at that host's own speed."""
    compared = (ComparedSection(name="core", host="Neoverse-N1", profile="Cortex-A57", agrees=False),)
    facts = {"same_architecture": True, "is_the_board": False, "compared": compared}
    host = result.host.model_copy(update=facts)
    return result.model_copy(update={"execution": "same-architecture", "host": host, "not_scaled": not_scaled})
