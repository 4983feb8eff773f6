"""The hook for pre-commit as its users have it: installed by pre-commit out of this checkout's last commit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgesim.models.repository import Model
from tests.support.pages import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.com", "-c", "safe.directory=*"]
    done = subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_hook_lets_a_small_model_pass_and_stops_a_large_one(digits: Model, resnet18: Model, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    repository.mkdir()
    git(repository, "init", "--quiet")
    (repository / ".pre-commit-config.yaml").write_text(
        f"repos:\n  - repo: {ROOT}\n    rev: {git(ROOT, 'rev-parse', 'HEAD')}\n    hooks:\n      - id: edgesim-screen\n"
        "        args: [--profile, jetson-nano, --rule, artifact_bytes <= 1MiB, --rule, device_time_ms.p50 <= 120]\n"
    )
    codes = []
    for model in (digits, resnet18):
        shutil.copyfile(model.path, repository / f"{model.name}.onnx")
        git(repository, "add", f"{model.name}.onnx")
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "--verbose", "--files", f"{model.name}.onnx"],
            cwd=repository,
            env={**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        codes.append(done.returncode)
        assert f"{model.name}.onnx: artifact_bytes" in done.stdout, done.stdout + done.stderr
    assert codes == [0, 1]
