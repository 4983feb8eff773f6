"""How long it takes to write the HTML page of a run of 200,000 requests, and to open the page in Chromium.

Other programs on the machine lengthen the opening, but not its CPU time.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from edgesim.models import samples

REQUESTS = 200_000
OPENED = 7


def seconds(*command: str | Path) -> float:
    """Run a command, and return how long it took."""
    begun = time.monotonic()
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return time.monotonic() - begun


def main() -> None:
    samples.ensure("digits")
    edgesim = str(Path(sys.executable).parent / "edgesim")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch, sync_playwright() as playwright:
        result, page = Path(scratch) / "result.json", Path(scratch) / "report.html"
        # A plain process answers fastest, and the board does not matter here.
        seconds(edgesim, "run", "jetson-nano", "digits", "--engine", "local", "--requests", str(REQUESTS), "-o", result)
        written_s = seconds(edgesim, "report", result, "-o", page)
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        opened, busy = [], []
        for _ in range(OPENED):
            tab = chromium.new_page(viewport={"width": 1200, "height": 900})
            session = tab.context.new_cdp_session(tab)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready=true]")
            # From the navigation until all plots are drawn.
            opened.append(float(tab.evaluate("performance.getEntriesByName('ready')[0].startTime")) / 1e3)
            metrics = {row["name"]: row["value"] for row in session.send("Performance.getMetrics")["metrics"]}
            busy.append(metrics["TaskDuration"])
            tab.close()
        chromium.close()
        print("| 200,000 requests | |\n|---|---:|")
        print(f"| result file | {result.stat().st_size / 1e6:.1f} MB |")
        print(f"| page | {page.stat().st_size / 1e6:.1f} MB |")
        print(f"| `edgesim report`, the command | {written_s:.1f} s |")
        worst = f"{max(opened):.2f} s at most"
        print(f"| opened, all plots drawn, median of {OPENED} | {statistics.median(opened):.2f} s ({worst}) |")
        print(f"| of that, CPU time of the page's own thread | {statistics.median(busy):.2f} s |")


if __name__ == "__main__":
    main()
