"""What a release says of itself: the changelog's form, the citation, and how each recorded figure is regenerated."""

import re
import tomllib
from datetime import date

from ruamel.yaml import YAML

from benchmarks.install import VERSIONS
from tests.support.pages import DOCS, PAGES, ROOT

KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}  # of Keep a Changelog 1.1.0
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_PLACE = re.compile(r"^<!-- (\w+) -->$", re.MULTILINE)


def test_changelog_has_the_form_of_keep_a_changelog_and_this_version_first() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    versions = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d|unreleased)", heading) for heading in headings]
    assert all(versions), headings
    numbers = [tuple(map(int, found[1].split("."))) for found in versions if found]
    assert numbers == sorted(numbers, reverse=True)
    assert headings[0].startswith(f"[{PYPROJECT['project']['version']}]")
    # Only the version that is being made may lack its day.
    days = [found[2] for found in versions if found]
    assert [day for day in days[1:] if not date.fromisoformat(day)] == []
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= KINDS


def test_citation_is_of_this_version_and_licence() -> None:
    citation = YAML(typ="safe", pure=True).load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PYPROJECT["project"]["version"]
    assert citation["license"] == PYPROJECT["project"]["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_classifiers_name_the_pythons_that_the_install_matrix_has() -> None:
    named = [line.rpartition(" ")[2] for line in PYPROJECT["project"]["classifiers"] if ":: 3." in line]
    assert tuple(named) == VERSIONS
    assert PYPROJECT["project"]["requires-python"] == f">={VERSIONS[0]}"


def test_every_recorded_table_is_listed_with_its_page_and_its_command() -> None:
    figures = (DOCS / "reference" / "figures.md").read_text()
    listed = dict(
        re.findall(r"^\| `(\w+)` \| \[[^\]]*\]\(([^)]+)\) \| `python -m benchmarks\.record \1` \|", figures, re.M)
    )
    pages = {name: page for page in PAGES for name in _PLACE.findall(page.read_text())}
    assert {name: (DOCS / "reference" / link).resolve() for name, link in listed.items()} == pages


def test_every_page_of_evidence_is_regenerated_by_a_command_that_figures_names() -> None:
    figures = (DOCS / "reference" / "figures.md").read_text()
    evidence = sorted((DOCS / "evidence").glob("*.md"))
    assert [page.name for page in evidence if f"(../evidence/{page.name})" not in figures] == []


def test_every_benchmark_that_figures_names_exists() -> None:
    figures = (DOCS / "reference" / "figures.md").read_text()
    named = set(re.findall(r"`python -m (benchmarks\.\w+|edgesim\.[\w.]+)", figures))
    assert named
    for name in sorted(named - {"benchmarks.NAME"}):
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name
