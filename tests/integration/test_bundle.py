"""A run is bundled, and replayed in another directory as a plain process."""

import json
from pathlib import Path

from tests.integration.conftest import edgesim


def test_run_is_bundled_and_replayed_elsewhere_with_the_same_answers(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    local = ("--engine", "local", "--requests", "20", "--duration", "0")
    run = edgesim("run", "jetson-nano", "digits", *local, "-o", "result.json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    made = edgesim("bundle", "result.json", "-o", "digits.edgesim.tar", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    replayed = edgesim("replay", "../digits.edgesim.tar", "--json", "--report", "both.html", cwd=tmp_path / "elsewhere")
    verdict = json.loads(replayed.stdout)
    found = {item["name"]: item for item in verdict["items"]}
    assert found["answers: probabilities"]["finding"].startswith("equal to the bit"), replayed.stderr
    assert {found[name]["verdict"] for name in ("digests", "accuracy", "prediction")} == {"PASS"}
    assert (tmp_path / "elsewhere" / "both.html").stat().st_size > 100_000
