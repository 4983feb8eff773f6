"""The names that `import edgesim` offers."""

import subprocess
import sys
from pathlib import Path

import edgesim
from edgesim import errors
from edgesim.results.run_result import RunResult


def test_every_public_name_exists() -> None:
    assert dir(edgesim) == sorted(edgesim.__all__)
    assert all(getattr(edgesim, name) is not None for name in dir(edgesim))


def test_every_error_is_public() -> None:
    def tree(error: type[errors.EdgesimError]) -> set[str]:
        return {error.__name__}.union(
            *(tree(inner) for inner in error.__subclasses__() if inner.__module__ == error.__module__)
        )

    assert tree(errors.EdgesimError) <= set(dir(edgesim))


def test_importing_edgesim_imports_nothing_of_it() -> None:
    script = "import edgesim, sys; print([name for name in sys.modules if name.startswith('edgesim.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_result_is_loaded_judged_and_reported(result: RunResult, tmp_path: Path) -> None:
    result.write(tmp_path / "r.json")
    loaded = edgesim.load(str(tmp_path / "r.json"))
    assert isinstance(loaded, RunResult)
    edgesim.report(loaded, tmp_path / "r.md")
    assert "net on" in (tmp_path / "r.md").read_text()
    verdict = edgesim.gate(loaded, ["memory_peak_bytes <= 1MiB"])
    assert [item.name for item in verdict.items] == ["the run", "memory_peak_bytes <= 1MiB"]
    changed = edgesim.gate(loaded, ["memory_peak_bytes: +5 %"], baseline=tmp_path / "r.json")
    assert [item.name for item in changed.items] == ["the run", "the baseline", "memory_peak_bytes: +5 %"]
