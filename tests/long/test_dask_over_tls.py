"""A sweep over TLS, with certificates by Dask's own configuration."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import write_model
from tests.integration.conftest import edgesim
from tests.support.dask_cluster import running

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def _certificates(directory: Path) -> dict[str, str]:
    """Return Dask's variables for a certificate that is its own authority, as many-machines.md names them."""
    certificate, key = directory / "cert.pem", directory / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=edgesim"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    names = {"CA_FILE": certificate}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        names |= {f"{role}__CERT": certificate, f"{role}__KEY": key}
    return {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(path) for name, path in names.items()}


def test_cells_go_over_tls_with_dasks_certificates_and_to_nobody_without(tmp_path: Path) -> None:
    tls, model = _certificates(tmp_path), tmp_path / "one.onnx"
    write_model(model)
    with running(tmp_path, tls=tls) as cluster:
        cluster.start_worker("a", resources="x=1")
        assert cluster.address.startswith("tls://")
        words = ("sweep", "--profile", "raspberry-pi-?", "--model", str(model), "--scheduler", cluster.address)
        done = edgesim(*words, "-o", tmp_path / "out", env={**os.environ, **tls})
        assert done.returncode == 0, done.stderr
        assert len(list((tmp_path / "out" / "cells").glob("*.json"))) == 3
        refused = edgesim(*words, "-o", tmp_path / "none")
        assert (refused.returncode, "Dask's configuration" in refused.stderr) == (2, True), refused.stderr
        plain = [word.replace("tls://", "tcp://") for word in words]
        unheard = edgesim(*plain, "-o", tmp_path / "none")
        assert (unheard.returncode, "no Dask scheduler answers" in unheard.stderr) == (3, True), unheard.stderr
        assert list((tmp_path / "none").rglob("*.json")) == []
