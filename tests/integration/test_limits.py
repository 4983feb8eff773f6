"""Limits: they hold, and probes show it."""

import json
import subprocess
from pathlib import Path

import pytest

from edgesim.engine.docker_engine import Engine
from edgesim.host import network_shaping
from edgesim.profiles.surroundings import Network
from tests.integration.conftest import EMULATED, TINY_BOARD, edgesim
from tests.integration.ruler_image import container, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left_behind")]


@pytest.mark.long
@pytest.mark.emulation
def test_every_limit_is_probed_and_later_results_show_the_findings(tmp_path: Path) -> None:
    board = tmp_path / "board.yaml"
    board.write_text(
        TINY_BOARD.replace("128 MB, visible_bytes: 100 MiB", "512 MB, visible_bytes: 300 MiB")
        + "storage: [{kind: slow card, read_bytes_per_s: 20 MB, write_bytes_per_s: 15 MB}]\n"
        "limits: {processes: 500, open_files: 300}\nnetwork: {rate_bytes_per_s: 2 MB, delay_ms: 20}\n"
    )
    probed = edgesim("doctor", "--probe", board, "--json")
    findings = {finding["name"]: finding for finding in json.loads(probed.stdout)}
    assert set(findings) == {
        "memory_bytes",
        "cpus",
        "processes",
        "open_files",
        "read_bytes_per_s",
        "write_bytes_per_s",
        "cpu_set",
        "network_rate_bytes_per_s",
        "network_delay_ms",
    }
    # The CPU limit is probed by a measurement, which other programs on this host may disturb.
    assert all(finding["holds"] is not False for name, finding in findings.items() if name != "cpus"), findings
    assert findings["memory_bytes"]["holds"] is True
    assert "where 300 are allowed" in findings["open_files"]["finding"]
    assert findings["write_bytes_per_s"]["holds"] is findings["read_bytes_per_s"]["holds"], findings
    assert findings["cpu_set"]["holds"] in (True, None)

    done = edgesim("run", board, "digits", *EMULATED, "--requests", "3", "-o", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    limits = {limit["name"]: limit for limit in json.loads((tmp_path / "r.json").read_text())["device"]["limits"]}
    assert limits["memory_bytes"]["proven"] is True
    assert limits["open_files"]["applied"] == 300
    assert "proven on this host: memory" in done.stdout


def test_probe_of_one_limit_proves_nothing_about_another_size(tmp_path: Path) -> None:
    board = tmp_path / "board.yaml"
    board.write_text(TINY_BOARD.replace("128 MB, visible_bytes: 100 MiB", "512 MB, visible_bytes: 311 MiB"))
    edgesim("run", board, "digits", *EMULATED, "--requests", "3", "-o", tmp_path / "r.json")
    limits = json.loads((tmp_path / "r.json").read_text())["device"]["limits"]
    assert all(limit["proven"] is None for limit in limits)


def test_network_rate_and_delay_are_set_or_the_shortfall_says_why() -> None:
    with Engine().start(container("import time; print('up'); time.sleep(60)")) as device:
        wait_for(device, "up")
        shaped = network_shaping.shape(device.pid, Network(rate_bytes_per_s="1 MB", delay_ms=20))  # type: ignore[arg-type]
        listing = ["nsenter", "--target", str(device.pid), "--net", "tc", "qdisc", "show", "dev", "eth0"]
        rules = subprocess.run(listing, capture_output=True, text=True, check=False).stdout
    set_to = {"network rate": shaped.rate_bytes_per_s, "network delay": shaped.delay_ms}
    for kind, what in (("tbf", "network rate"), ("netem", "network delay")):
        said = [shortfall for shortfall in shaped.shortfalls if shortfall.startswith(what)]
        assert (kind in rules) is (set_to[what] is not None) is not bool(said), (rules, shaped)
