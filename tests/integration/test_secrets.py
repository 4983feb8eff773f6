"""Passwords and tokens of the user's surroundings are in nothing that edgesim writes or prints."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import write_model

SECRET = "s3cr3t-0f-the-t3st"


def test_planted_secrets_are_in_no_result_report_bundle_cache_or_output(tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    (home / ".docker").mkdir(parents=True)
    work.mkdir()
    login = base64.b64encode(f"user:{SECRET}".encode()).decode()
    url = f"http://user:{SECRET}@127.0.0.1:9"
    config = {"auths": {"registry.example": {"auth": login}}, "proxies": {"default": {"httpProxy": url}}}
    (home / ".docker" / "config.json").write_text(json.dumps(config))
    write_model(work / "relu.onnx", shape=(1, 4))
    environment = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        "HOME": str(home),
        "EDGESIM_CACHE_DIR": str(work / "cache"),
        "EDGESIM_CONFIG_DIR": str(work / "config"),
        "TMPDIR": str(work),
        "MLFLOW_TRACKING_TOKEN": SECRET,
        "GITHUB_TOKEN": SECRET,
        "PIP_INDEX_URL": url,
        "HTTPS_PROXY": url,
        "https_proxy": url,
    }
    printed = ""
    for command in (
        ["run", "jetson-nano", "relu.onnx", "--engine", "local", "--requests", "10", "-o", "result.json"],
        ["report", "result.json", "-o", "page.html", "-o", "page.md", "-o", "page.json"],
        ["bundle", "result.json", "-o", "run.edgesim.tar"],
        ["doctor", "--json"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "edgesim.cli", *command],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stderr
        printed += done.stdout + done.stderr
    written = [path for path in work.rglob("*") if path.is_file()]
    assert {"result.json", "page.html", "run.edgesim.tar"} <= {path.name for path in written}
    for secret in (SECRET, login):
        assert secret not in printed
        assert [path for path in written if secret.encode() in path.read_bytes()] == []
