"""JupyterLab beside a simulated board: the example's notebook from its top to its end, and `edgesim notebook`."""

import json
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

import edgesim as package
from tests.conftest import browser_path
from tests.integration.conftest import begin

pytestmark = [pytest.mark.emulation, pytest.mark.timeout(2400), pytest.mark.usefixtures("nothing_left_behind")]

EXAMPLE = Path(__file__).parents[2] / "examples" / "stacks" / "notebook"
READY_S = 600.0  # JupyterLab on a busy host
EXECUTE = """
import nbclient, nbformat
book = nbformat.read("board.ipynb", 4)
nbclient.NotebookClient(book, timeout=1200).execute()
nbformat.write(book, "board.ipynb")
"""


def outputs(notebook: Path) -> list[str]:
    """Return what each cell of code showed, as text."""
    cells = json.loads(notebook.read_text())["cells"]
    return [json.dumps(cell["outputs"], ensure_ascii=False) for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.browser
@pytest.mark.usefixtures("removed_volumes")
def test_notebook_trains_a_model_puts_it_on_the_board_asks_measures_and_gates_it(tmp_path: Path) -> None:
    example = Path(shutil.copytree(EXAMPLE, tmp_path / "notebook"))
    with package.stack(example / "stack.yaml", ready_timeout_s=READY_S) as stack:
        container = stack.monitor.states["notebook"].id
        done = subprocess.run(
            ["docker", "exec", container, "python3", "-c", EXECUTE], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        shown = outputs(example / "work" / "board.ipynb")
        for words in ("the board serves version 1", "the board's answers are right", "the board serves version 2"):
            assert any(words in text for text in shown), words
        before, after, verdict = shown[-5], shown[-3], shown[-2]
        assert all("<table" in text and "<iframe" in text for text in (before, after)), "the result's table and plots"
        assert "<b>PASS</b>" in verdict
        assert stack.killed() == {}
        screenshot(stack.addresses["notebook"].replace("/?", "/lab/tree/board.ipynb?"), tmp_path / "notebook.png")
        token = stack.monitor.states["notebook"].token
        assert token is not None
        assert token not in stack.log("notebook", None)
    written = [path for path in (example / "work").rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"board.ipynb", "small.json", "large.json"}
    assert not [path for path in written if token.encode() in path.read_bytes()]


def screenshot(address: str, file: Path) -> None:
    """Open the executed notebook in JupyterLab, and look for the board's answers and the verdict."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(address)
        verdict = page.locator(".jp-OutputArea-output td, .jp-OutputArea-output b").get_by_text("PASS").first
        notebook = page.locator(".jp-NotebookPanel .jp-WindowedPanel-outer").first
        expect(notebook).to_be_visible(timeout=180_000)
        for _ in range(60):
            if verdict.count() and verdict.is_visible():
                break
            notebook.evaluate("panel => panel.scrollBy(0, 600)")
            page.wait_for_timeout(1000)
        expect(verdict).to_be_visible()
        verdict.scroll_into_view_if_needed()
        page.screenshot(path=str(file))
        browser.close()


def test_notebook_in_one_command_leaves_nothing_but_the_users_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    running = begin("notebook", "jetson-nano", "--directory", tmp_path, "--json", "--ready-timeout", str(READY_S))
    assert running.stdout is not None
    document = ""
    while not document.endswith("\n}\n"):
        line = running.stdout.readline()
        assert line, running.communicate()[1]
        document += line
    facts = json.loads(document)
    address = urlsplit(facts["url"])
    assert address.path == "/lab/tree/board.ipynb"
    contents = f"http://{address.netloc}/api/contents"
    names = {entry["name"] for entry in ask(f"{contents}?{address.query}")["content"]}
    assert names == {"board.ipynb", "mine.txt"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(f"{contents}?token=guessed")
    assert refused.value.code == 403
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 0, said
    assert {path.name for path in tmp_path.iterdir()} <= {"board.ipynb", "mine.txt", ".ipynb_checkpoints"}


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())
