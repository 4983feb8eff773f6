"""The cells of a sweep as a Parquet file, with pyarrow, which the other tests do without."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cells import cell, failed

pytestmark = pytest.mark.timeout(900)

_READ = """
import json, sys
from pyarrow import parquet
table = parquet.read_table(sys.argv[1])
print(json.dumps({name: table.column(name).to_pylist() for name in ("profile", "device_time_ms.p50", "error")}))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that finds pyarrow beside the packages of this one."""
    directory = tmp_path_factory.mktemp("pyarrow")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(directory), "pyarrow"]
    installed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert installed.returncode == 0, f"pyarrow cannot be installed: {installed.stderr[-300:]}"
    paths = (str(directory), str(Path(__file__).parents[2]))
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def test_parquet_file_of_a_sweep_has_a_row_for_each_cell(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sweep" / "cells").mkdir(parents=True)
    for number, result in enumerate((cell("jetson-nano", ms=10.0), cell("rk3588", ms=4.0), failed("rk3399", "huge"))):
        (tmp_path / "sweep" / "cells" / f"x.{number}.json").write_text(result.as_json())
    written = subprocess.run(
        [sys.executable, "-m", "edgesim.cli", "report", "sweep", "-o", "cells.parquet"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert written.returncode == 0, written.stderr
    command = [sys.executable, "-c", _READ, str(tmp_path / "cells.parquet")]
    read = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert sorted(read["profile"]) == ["jetson-nano", "rk3399", "rk3588"]
    times = dict(zip(read["profile"], read["device_time_ms.p50"], strict=True))
    assert times == {"jetson-nano": 10.0, "rk3588": 4.0, "rk3399": None}
