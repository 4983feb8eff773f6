"""The site's sources: a page for each command with each of its options, links that hold, and each public name once."""

import re
from pathlib import Path

import pytest

import edgesim
from docsite import sources
from edgesim.cli import _commands

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site") / "source"
    sources.gather(directory)
    return directory


@pytest.mark.parametrize("entry", _commands.COMMANDS, ids=lambda entry: entry.name)
def test_each_command_has_a_page_with_its_options_and_examples(entry: _commands.Entry, site: Path) -> None:
    text = (site / "reference" / "commands" / f"{entry.name}.md").read_text()
    command = _commands.load(entry.name)
    for member in getattr(command, "commands", {"": command}).values():
        with member.make_context(entry.name, [], resilient_parsing=True) as context:
            options = [name for parameter in member.get_params(context) for name in parameter.opts]
        assert [name for name in options if name.startswith("--") and name not in text] == []
        assert all(example in text for example in member.examples)
    assert f"commands/{entry.name}" in (site / "reference" / "commands.md").read_text()


def test_links_on_the_site_lead_to_its_files(site: Path) -> None:
    for page in site.rglob("*.md"):
        links = [link for link in _LINK.findall(page.read_text()) if "://" not in link]
        assert [link for link in links if not (page.parent / link).is_file()] == [], page


def test_navigation_has_every_page_of_the_documents_once(site: Path) -> None:
    trees = re.findall(
        r"```\{toctree\}\n:hidden:\n:caption: [^\n]*\n\n(.*?)```", (site / "index.md").read_text(), re.DOTALL
    )
    entries = [line for tree in trees for line in tree.splitlines()]
    pages = {str(page.relative_to(sources.DOCS)) for page in sources.DOCS.rglob("*.md")} - {"index.md"}
    assert sorted(entries) == sorted(pages | {"CHANGELOG.md", "CONTRIBUTING.md"})


def test_every_public_name_is_on_the_page_of_python_names(site: Path) -> None:
    text = (site / "reference" / "api.md").read_text()
    named = re.findall(r"^\.\. auto\w+:: edgesim\.(\w+)$", text, re.MULTILINE)
    assert sorted(named) == sorted(set(edgesim.__all__) - {"__version__"})
