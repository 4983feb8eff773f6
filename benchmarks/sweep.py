"""What a cell of a sweep costs, how that grows with the number of cells, and how fast the page of 2,000 cells opens.

Cells are predictions of the sample models. All times are CPU time, which other programs on the machine lengthen least.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from edgesim.models import samples
from edgesim.reports import formats
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results.cell_result import CellResult, Figure
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.plan import plan
from edgesim.sweeps.sweep import sweep

BOARDS = (
    *("jetson-nano", "jetson-tx2", "jetson-xavier-nx", "jetson-orin-nano", "jetson-orin-nx", "jetson-agx-orin"),
    *("raspberry-pi-zero-2", "raspberry-pi-3", "raspberry-pi-4", "raspberry-pi-5"),
    *("rk3399", "rk3588", "odroid-n2-plus", "coral-dev-board", "jetson-agx-thor"),
)
PAGE_CELLS = 2000
FEW_CELLS = 4
OPENED = 5
ROUNDS = 3


def seconds_of(boards: tuple[str, ...]) -> tuple[int, float]:
    """Sweep these boards with all models and precisions; return the number of cells, and the CPU time they took."""
    matrix = Matrix.of(boards, samples.NAMES, {"precision": ["fp32", "int8"]})
    plan(matrix)  # the quantized models are made once, and kept
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as directory:
        begun = time.process_time()
        result = sweep(matrix, Path(directory))
        return len(result.cells), time.process_time() - begun


def page_cell(number: int) -> CellResult:
    """Return one of the cells of a page: one of 50 boards, 20 models and two precisions."""
    ms = 1.0 + number % 97
    return CellResult(
        key=f"{number:024x}",
        created="2026-01-01T00:00:00+00:00",
        edgesim_version="0",
        job="predict",
        profile=f"board-{number % 50}",
        board=f"Board {number % 50}",
        model=f"model-{number // 50 % 20}",
        precision="int8" if number // 1000 else "fp32",
        figures={
            "device_time_ms.p50": Figure(value=ms, low=ms / 2, high=2 * ms),
            "artifact_bytes": Figure(value=1e6 + number * 1e3),
            "energy_j": Figure(value=ms / 100),
            "accuracy": Figure(value=0.5 + number % 53 / 110),
        },
        method="predicted from the graph",
        host="host",
    )


def opened_s(page: Path) -> float:
    """Return the median CPU time of the page's own thread until the map and the front are drawn."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        seconds = []
        for _ in range(OPENED):
            tab = chromium.new_page(viewport={"width": 1200, "height": 900})
            session = tab.context.new_cdp_session(tab)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-drawn=true]", timeout=60_000)
            metrics = {row["name"]: row["value"] for row in session.send("Performance.getMetrics")["metrics"]}
            seconds.append(float(metrics["TaskDuration"]))
            tab.close()
        chromium.close()
    return statistics.median(seconds)


def main() -> None:
    for name in samples.NAMES:
        samples.ensure(name)
    small, large = BOARDS[:5], BOARDS
    seconds_of(small)  # the first sweep of a process also imports
    ratios, cells, total_s = [], 0, 0.0
    for _ in range(ROUNDS):
        few, few_s = seconds_of(small)
        cells, total_s = seconds_of(large)
        ratios.append((total_s / cells) / (few_s / few))
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        pages = {count: Path(scratch) / f"{count}.html" for count in (FEW_CELLS, PAGE_CELLS)}
        for count, page in pages.items():
            page.write_bytes(formats.render_sweep(SweepOverview(tuple(map(page_cell, range(count)))), page))
        opened = {count: opened_s(page) for count, page in pages.items()}
        size = pages[PAGE_CELLS].stat().st_size
    print(f"| {len(large)} boards x {len(samples.NAMES)} models x 2 precisions | |\n|---|---:|")
    print(f"| cells | {cells} |")
    print(f"| all planned, predicted and kept | {total_s:.1f} s |")
    print(f"| a cell, beside one of a sweep of a third of the boards | {statistics.median(ratios):.2f} times |")
    print(f"| page of {PAGE_CELLS:,} cells | {size / 1e6:.1f} MB |")
    print(f"| opened, all drawn, median of {OPENED} | {opened[PAGE_CELLS]:.2f} s |")
    print(f"| the same of a page of {FEW_CELLS} cells | {opened[FEW_CELLS]:.2f} s |")


if __name__ == "__main__":
    main()
