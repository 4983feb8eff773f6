"""The documentation as a site: built strictly, and looked at by axe, light and dark, on a desk and on a phone."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import browser_path
from tests.support.pages import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

PAGES = (
    "index.html",
    "reference/api.html",
    "reference/commands/run.html",
    "evidence/fidelity.html",
    "tasks/reports.html",
)
VIEWS = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by an environment with the tools of the dependency group `docs`."""
    directory = tmp_path_factory.mktemp("site")
    python = directory / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", directory / "venv"], check=True)
    # What this environment has: a virtual environment of a virtual environment has the base's packages alone.
    (own,) = (directory / "venv").glob("lib/python3.*/site-packages")
    (own / "tests.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["docs"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *needed], check=True)
    subprocess.run([python, "-m", "docsite", directory / "out"], check=True, cwd=ROOT)
    return directory / "out"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser_path())
        yield chromium
        chromium.close()


def test_site_is_built_without_a_warning_and_has_a_manual_page_for_each_command(site: Path) -> None:
    assert "edgesim-run" in (site / "man" / "edgesim-run.1").read_text()
    assert (site / "html" / "search.html").exists()


@pytest.mark.browser
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_fault_that_axe_finds_and_fit_the_width(
    scheme: Literal["light", "dark"], view: str, site: Path, browser: Browser
) -> None:
    width, height = VIEWS[view]
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
    page = context.new_page()
    for name in PAGES:
        page.goto((site / "html" / name).as_uri())
        faults = Axe().run(page).response["violations"]
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in faults] == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    context.close()


@pytest.mark.browser
def test_search_finds_a_command_by_a_word_of_its_page(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto((site / "html" / "search.html").as_uri() + "?q=throttled")
    page.wait_for_selector("#search-results li a", timeout=60_000)
    assert page.locator("#search-results li a").count() > 0
    page.close()
