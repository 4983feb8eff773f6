"""Judge the result by rules. A verdict other than PASS ends the step with its exit code, and so the pipeline."""

import shutil
import sys

from files import work_directory
from step import Step, edgesim

VERDICTS = {0: "PASS", 1: "FAIL", 5: "INVALID", 6: "INCONCLUSIVE"}

step = Step()
directory = work_directory()
result, verdict = directory / "result.json", directory / "gate.md"
shutil.copyfile(step.inputs["result"], result)
rules = [word for rule in step.parameters["rules"] for word in ("--rule", rule)]
code = edgesim("gate", result, *rules, "--markdown", verdict, may_end_with=tuple(VERDICTS))
shutil.copyfile(verdict, step.outputs["verdict"])
step.describe(verdict={"verdict": VERDICTS[code]})
sys.exit(code)
