"""What edgesim's server serves in which release of ONNX Runtime, on emulated arm64: by the file, and by loading.

`benchmarks.runtime_loads` loads models without a server, in all releases; this one starts a board for each release and
model, as `edgesim check --runtimes` does. Prints the table of the document docs/reference/runtimes.md, and ends with
exit code 1 if a file and its proof disagree, or if the answers of two releases differ.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import runtime_loads
from edgesim.errors import ExitCode
from edgesim.models import repository, runtime_support

BOARD = "jetson-nano"
RELEASES = ("1.11.0", "1.14.1", "1.16.3", "1.18.1", runtime_support.newest())
MODELS = ("digits", "mobilenet_v2", "a QDQ int8 one")


def check(path: Path) -> dict[str, dict[str, Any]]:
    """Return the item of each release for a model."""
    command = [sys.executable, "-m", "edgesim.cli", "check", BOARD, str(path), "--runtimes", ",".join(RELEASES)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    if done.returncode not in (ExitCode.OK, ExitCode.FAIL):
        raise SystemExit(done.stderr)
    return {item["name"]: item for item in json.loads(done.stdout)["items"]}


def main() -> None:
    columns, wrong = {}, []
    with tempfile.TemporaryDirectory() as directory:
        files = runtime_loads.write_models(Path(directory))
        for words in MODELS:
            items, needs = check(files[words]), runtime_support.Needs.of(repository.find(str(files[words])))
            columns[words] = [items[release]["finding"].split(";")[0] for release in RELEASES]
            for release in RELEASES:
                loads = items[release]["finding"].startswith("loads")
                if loads != (needs.refusal(release) is None) or (loads and items[release]["verdict"] != "PASS"):
                    wrong.append(f"{release}, {words}: {items[release]['finding']}")
    print(f"| ONNX Runtime | {' | '.join(MODELS)} |\n|---|{'---|' * len(MODELS)}")
    for row, release in enumerate(RELEASES):
        print(f"| {release} | {' | '.join(columns[words][row] for words in MODELS)} |")
    print(f"\nBy the file and through the server, {len(RELEASES) * len(MODELS)} cells: {len(wrong)} disagree.")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
