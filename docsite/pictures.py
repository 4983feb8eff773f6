"""The pictures of the report page in docs/pictures: ``python -m docsite.pictures``, with an engine and Chromium.

Runs the example of the README, opens the page in Chromium, and takes a picture of its top: light on a desk, dark on a
phone.
"""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import edgesim

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
_VIEWS = (("report-page.png", "light", 1100, 1200), ("report-page-phone.png", "dark", 390, 844))


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        page_file = Path(directory) / "report.html"
        edgesim.report(edgesim.run("jetson-nano", "mobilenet_v2"), page_file)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for name, scheme, width, height in _VIEWS:
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": height})
            page.goto(page_file.as_uri())
            page.wait_for_timeout(1000)  # the plots have drawn themselves
            page.screenshot(path=PICTURES / name)
        browser.close()


if __name__ == "__main__":
    main()
