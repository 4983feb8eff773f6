"""The README and the pages below docs/: links lead somewhere, examples are valid, and no line is too long to read."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from edgesim import profiles
from edgesim.gates.rules import Rules
from edgesim.inputs.inputs_file import Entry, InputsFile
from edgesim.options import Generate
from edgesim.profiles.image import Image
from edgesim.server import config_yaml
from edgesim.stacks.service import Service
from edgesim.sweeps.matrix import Matrix
from tests.support.pages import DOCS, PAGES, ROOT, blocks

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
COLUMNS = 120
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_GENERATED = re.compile(r"^<!-- (\w+) -->\n.*?^<!-- /\1 -->\n", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    """Return a page without code blocks and without what benchmarks have written."""
    return _FENCE.sub("", _GENERATED.sub("", page.read_text()))


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them: lower case, hyphens for blanks."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def relative_links(page: Path) -> Iterator[str]:
    return (link for link in _LINK.findall(text_of(page)) if "://" not in link)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in relative_links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_index_links_to_every_page() -> None:
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in relative_links(DOCS / "index.md")}
    assert [str(page) for page in sorted(DOCS.rglob("*.md")) if page.name != "index.md" and page not in linked] == []


def test_every_document_that_the_code_names_exists() -> None:
    sources = [path for place in ("edgesim", "benchmarks", "profiles") for path in (ROOT / place).rglob("*")]
    texts = [path.read_text() for path in sources if path.suffix in (".py", ".yaml")]
    named = {name for text in texts for name in re.findall(r"\bdocs/[\w/-]+\.(?:md|csv|svg)\b", text)}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_place_for_a_benchmarks_output_is_that_of_one_benchmark() -> None:
    names = [match[1] for page in PAGES for match in _GENERATED.finditer(page.read_text())]
    assert {"sample", "fidelity", "gate", "scaled", "ruler", "devices"} <= set(names)
    assert len(names) == len(set(names))
    assert [name for name in names if not (ROOT / "benchmarks" / f"{name}.py").exists()] == []


def test_every_file_that_the_documents_name_exists() -> None:
    named = {
        name for page in PAGES for name in re.findall(r"`((?:edgesim|tests|benchmarks)/[\w./]+)`", page.read_text())
    }
    assert named
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).exists()] == []


def test_architecture_shows_every_package_and_the_layers_of_import_linter() -> None:
    page = DOCS / "architecture.md"
    _, tree, layers = blocks(page, "text")
    for path in (ROOT / "edgesim").iterdir():
        if path.name != "__init__.py" and path.suffix in ("", ".py") and not path.name.startswith("_"):
            name = path.name if path.suffix else f"{path.name}/"
            assert re.search(rf"(^|  ){re.escape(name)}(\s|$)", tree, re.MULTILINE), name
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    one_way, saved_results_only = contracts
    assert layers.splitlines() == one_way["layers"]
    (sentence,) = re.findall(r"Beside `results`, .*?:", page.read_text(), re.DOTALL)
    assert re.findall(r"`(\w+)`", sentence)[1:] == saved_results_only["exhaustive_ignores"]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_prose_is_wrapped_and_each_page_has_one_title(page: Path) -> None:
    # Not wrapped: tables, code, and what benchmarks have written.
    lines = [line for line in text_of(page).splitlines() if not line.lstrip().startswith("|")]
    assert [line for line in lines if len(line) > COLUMNS] == []
    assert len([line for line in lines if line.startswith("# ")]) == 1


@pytest.mark.parametrize("name", ["boards", "scaled"])
def test_profiles_in_the_documents_are_valid(name: str, tmp_path: Path) -> None:
    file = tmp_path / "board.yaml"
    (profile,) = blocks(DOCS / "tasks" / f"{name}.md", "yaml")
    file.write_text(profile)
    assert profiles.load(str(file)).title


def test_image_in_the_document_of_other_servers_is_valid() -> None:
    (text,) = blocks(DOCS / "tasks" / "own-image.md", "yaml")
    assert Image.model_validate(parsed(text)["image"]).reference == "mlserver:arm64"


def test_documents_state_the_number_of_boards() -> None:
    assert len(profiles.names()) == 26
    for page in (ROOT / "README.md", DOCS / "tasks" / "boards.md"):
        assert "twenty-six boards" in page.read_text()


def test_inputs_file_in_the_document_is_valid_and_has_every_key_of_an_entry() -> None:
    page = DOCS / "reference" / "inputs-file.md"
    inputs, sequences = (InputsFile.model_validate(parsed(text)) for text in blocks(page, "yaml"))
    assert inputs.dims == {"batch": 1, "sequence": 128}
    assert (sequences.state, sequences.generate) == ({"stateN": "state"}, Generate(prompt=128, tokens=32))
    assert [key for key in Entry.model_fields if f"`{key}" not in page.read_text()] == []


def test_sweep_in_the_document_is_valid_and_has_every_key(tmp_path: Path) -> None:
    page = DOCS / "reference" / "sweep-file.md"
    file = tmp_path / "sweep.yaml"
    (text,) = blocks(page, "yaml")
    file.write_text(text)
    matrix = Matrix.read(file)
    assert len(list(matrix.combinations())) == 8
    assert [key for key in (*Matrix.model_fields, *matrix.set) if f"`{key}`" not in page.read_text()] == []


def test_rules_in_the_document_of_the_gate_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "edgesim-gate.yaml"
    (rules,) = blocks(DOCS / "reference" / "rules.md", "yaml")
    file.write_text(rules)
    assert list(Rules.read(file).by_profile) == ["jetson-nano"]


def test_stacks_in_the_document_are_valid_and_the_first_is_the_example() -> None:
    example = parsed((ROOT / "examples" / "stacks" / "parallel" / "stack.yaml").read_text())["services"]
    text, beside = blocks(DOCS / "tasks" / "stacks.md", "yaml")
    assert list(Service.model_validate(parsed(beside)["notebook"]).problems()) == []
    services = parsed(text)["services"]
    assert services.keys() == example.keys()
    assert services["app"] == example["app"]


def test_configuration_in_the_document_of_the_server_is_complete() -> None:
    (example,) = blocks(DOCS / "reference" / "server.md", "yaml")
    understood = config_yaml.from_yaml(example, source="config.yaml")
    assert understood.max_batch_size == 16
    assert all(f"{name}:" in example for name in config_yaml.FIELDS)
