"""edgesim finds out on your desk and in CI what a model will do on an edge board.

``edgesim.run("jetson-nano", "detector.onnx")`` benchmarks a model on a simulated board. `dir(edgesim)` lists all public
names; each is imported when it is first used, since most programs need few of them.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# ONNX Runtime's telemetry leaves a file in the directory for temporary files, in every process that imports it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from edgesim.boards.serving import board
    from edgesim.errors import (
        BaseUnavailable,
        BuildFailed,
        BuildxMissing,
        ComposeMissing,
        DeviceDied,
        DeviceError,
        DiskFull,
        EdgesimError,
        EmulatorCrashed,
        EmulatorLacksCore,
        EmulatorMissing,
        EmulatorStale,
        EmulatorTooOld,
        EngineDenied,
        EngineMissing,
        EngineRefused,
        HostError,
        HostTooSlow,
        IllegalInstruction,
        ImageUnavailable,
        Interrupted,
        KilledFromOutside,
        LimitsDenied,
        ModelError,
        ModelUnsupported,
        NoMeasurement,
        NotPublished,
        NotReady,
        OutOfMemory,
        PackagesUnavailable,
        PackageUnknown,
        ProfileError,
        RegistryDenied,
        RegistryError,
        ReleaseTooOld,
        ResultError,
        ScaleFailed,
        ServiceFailed,
        StackError,
        UsageError,
    )
    from edgesim.gates.gate import gate
    from edgesim.histories.history import history
    from edgesim.jobs.bundle import bundle
    from edgesim.jobs.check import CheckOptions, check
    from edgesim.jobs.count import count
    from edgesim.jobs.pack import pack
    from edgesim.jobs.replay import replay
    from edgesim.jobs.run import run
    from edgesim.options import (
        BoardOptions,
        DetectionMatch,
        Generate,
        InputOptions,
        PeakLimit,
        Precision,
        RunOptions,
        TrafficOptions,
    )
    from edgesim.predictions import predict, predict_targets
    from edgesim.predictions.generation import predict_generation
    from edgesim.reports.report import report
    from edgesim.results.load import load
    from edgesim.results.run_result import RunResult
    from edgesim.results.stack_result import StackResult
    from edgesim.stacks.up import stack
    from edgesim.sweeps.face import recommend, sweep
    from edgesim.version import __version__ as __version__


__all__ = [
    "BaseUnavailable",
    "BoardOptions",
    "BuildFailed",
    "BuildxMissing",
    "CheckOptions",
    "ComposeMissing",
    "DetectionMatch",
    "DeviceDied",
    "DeviceError",
    "DiskFull",
    "EdgesimError",
    "EmulatorCrashed",
    "EmulatorLacksCore",
    "EmulatorMissing",
    "EmulatorStale",
    "EmulatorTooOld",
    "EngineDenied",
    "EngineMissing",
    "EngineRefused",
    "Generate",
    "HostError",
    "HostTooSlow",
    "IllegalInstruction",
    "ImageUnavailable",
    "InputOptions",
    "Interrupted",
    "KilledFromOutside",
    "LimitsDenied",
    "ModelError",
    "ModelUnsupported",
    "NoMeasurement",
    "NotPublished",
    "NotReady",
    "OutOfMemory",
    "PackageUnknown",
    "PackagesUnavailable",
    "PeakLimit",
    "Precision",
    "ProfileError",
    "RegistryDenied",
    "RegistryError",
    "ReleaseTooOld",
    "ResultError",
    "RunOptions",
    "RunResult",
    "ScaleFailed",
    "ServiceFailed",
    "StackError",
    "StackResult",
    "TrafficOptions",
    "UsageError",
    "__version__",
    "board",
    "bundle",
    "check",
    "count",
    "gate",
    "history",
    "load",
    "pack",
    "predict",
    "predict_generation",
    "predict_targets",
    "recommend",
    "replay",
    "report",
    "run",
    "stack",
    "sweep",
]

# The modules of the public names; the errors are the rest.
_HOME = {
    "__version__": "edgesim.version",
    "BoardOptions": "edgesim.options",
    "CheckOptions": "edgesim.jobs.check",
    "DetectionMatch": "edgesim.options",
    "Generate": "edgesim.options",
    "InputOptions": "edgesim.options",
    "PeakLimit": "edgesim.options",
    "Precision": "edgesim.options",
    "RunOptions": "edgesim.options",
    "RunResult": "edgesim.results.run_result",
    "StackResult": "edgesim.results.stack_result",
    "TrafficOptions": "edgesim.options",
    "board": "edgesim.boards.serving",
    "bundle": "edgesim.jobs.bundle",
    "check": "edgesim.jobs.check",
    "count": "edgesim.jobs.count",
    "gate": "edgesim.gates.gate",
    "history": "edgesim.histories.history",
    "load": "edgesim.results.load",
    "pack": "edgesim.jobs.pack",
    "predict": "edgesim.predictions",
    "predict_generation": "edgesim.predictions.generation",
    "predict_targets": "edgesim.predictions",
    "recommend": "edgesim.sweeps.face",
    "replay": "edgesim.jobs.replay",
    "report": "edgesim.reports.report",
    "run": "edgesim.jobs.run",
    "stack": "edgesim.stacks.up",
    "sweep": "edgesim.sweeps.face",
}


def notebook_html(result: Any) -> str:
    """Return the HTML by which a notebook shows a RunResult, a StackResult or a Verdict.

    A result asks for it here, since reports are made of results: a result that imported its report would close a
    circle. The report is imported by name, when a result is first shown.
    """
    return str(import_module("edgesim.reports.formats.notebook").render(result))


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any = getattr(import_module(_HOME.get(name, "edgesim.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
