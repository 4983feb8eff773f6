"""Check the model on the simulated board, and run it there: the result, its page, and its figures as metrics."""

import json
import shutil

from files import images_file, model_file, work_directory
from step import Step, edgesim

INCONCLUSIVE = 6

step = Step()
board, engine = step.parameters["board"], step.parameters["engine"]
directory = work_directory()
model, images = model_file(step, directory), images_file(step, directory)
result, page, verdict = (directory / name for name in ("result.json", "report.html", "check.md"))

same = ("--engine", engine, "--input", images)
code = edgesim("check", board, model, *same, "--markdown", verdict, may_end_with=(0, INCONCLUSIVE))
edgesim("run", board, model, *same, "--requests", 100, "-o", result)
edgesim("report", result, "-o", page)
for name, path in (("result", result), ("page", page), ("verdict", verdict)):
    shutil.copyfile(path, step.outputs[name])

facts = json.loads(result.read_text())
device = facts["device_time_ms"]
figures = {
    "device_time_ms": device["p50"],
    "device_time_low_ms": device["low"],
    "device_time_high_ms": device["high"],
    "memory_peak_mib": facts["resources"]["memory_peak_bytes"] / 2**20,
    "accuracy": facts["agreement"]["accuracy_device"],
    "requests_failed": facts["requests"]["failed"],
}
step.describe(
    result={"board": board, "execution": facts["execution"], "valid": facts["validity"]["valid"]},
    verdict={"verdict": "INCONCLUSIVE" if code == INCONCLUSIVE else "PASS"},
    metrics={name: value for name, value in figures.items() if value is not None},
)
