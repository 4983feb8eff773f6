"""The sources of the site, gathered: pages with their links, what they link to, and the pages that code writes.

On the site docs/ is the root, so that addresses have no "docs" in them: a link that leaves docs/ loses one ``../``.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import edgesim
from docsite import command_pages

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Pages beside docs/ that the site has, too.
_BESIDE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)


def gather(directory: Path) -> None:
    """Write all sources into a directory."""
    shutil.copytree(DOCS, directory)
    for name in _BESIDE:
        shutil.copy2(ROOT / name, directory / name)
    for page in [*DOCS.rglob("*.md"), *(ROOT / name for name in _BESIDE)]:
        _write(directory / _place(page), _relinked(page, directory))
    # The site begins with the index, and only one page links to the README.
    _write(directory / "README.md", f"---\norphan: true\n---\n{(directory / 'README.md').read_text()}")
    index = directory / "index.md"
    _write(index, index.read_text() + "".join(_contents(index.read_text())))
    _write(directory / "reference" / "commands.md", _with_command_pages(directory / "reference"))
    api = directory / "reference" / "api.md"
    _write(api, f"{api.read_text()}\n{''.join(_names())}")


def _place(path: Path) -> Path:
    """Return where a file of the project is on the site."""
    return path.relative_to(DOCS) if path.is_relative_to(DOCS) else path.relative_to(ROOT)


def _relinked(page: Path, directory: Path) -> str:
    """Return a page's text with links for the site, and bring what it links to outside of docs/ along."""

    def relinked(match: re.Match[str]) -> str:
        if "://" in match[2]:
            return match[0]
        target = (page.parent / match[2]).resolve()
        place = _place(target)
        if not target.is_relative_to(DOCS) and target.name not in _BESIDE:
            place = _brought_along(target, directory)
        return f"{match[1]}{os.path.relpath(place, _place(page).parent)}{match[3]}"

    return _LINK.sub(relinked, page.read_text())


def _brought_along(target: Path, directory: Path) -> Path:
    """Copy a file, or a directory with a page that lists its files, and return what a link leads to."""
    place = _place(target)
    if not target.is_dir():
        (directory / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(target, directory / place)
        return place
    shutil.copytree(target, directory / place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    files = sorted(path.relative_to(target) for path in target.rglob("*") if path.is_file() and path.suffix != ".pyc")
    listing = "\n".join(f"- [{file}]({file})" for file in files if file.suffix != ".md")
    _write(directory / place / "index.md", f"---\norphan: true\n---\n# {place}\n\n{listing}\n")
    return place / "index.md"


def _contents(index: str) -> Iterator[str]:
    """Yield the lists of pages from which Sphinx makes the navigation: the sections of the index."""
    for title, section in _SECTION.findall(index):
        linked = [link for _, link, anchor in _LINK.findall(section) if link.endswith(".md") and anchor == ")"]
        # A sentence above a list may link to a page of another section: only entries of lists count.
        entries = [link for link in dict.fromkeys(linked) if re.search(rf"^- .*\({re.escape(link)}\)", section, re.M)]
        yield f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(entries) + "\n```\n"


def _with_command_pages(reference: Path) -> str:
    for page in command_pages.pages():
        _write(reference / "commands" / f"{page.name}.md", page.text)
    names = "\n".join(f"commands/{page.name}" for page in command_pages.pages())
    overview = (reference / "commands.md").read_text()
    return f"{overview}\n## Each command\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n"


def _names() -> Iterator[str]:
    """Yield a directive for each public name of the package: functions, then classes, then errors."""
    groups: dict[str, list[str]] = {"function": [], "class": [], "exception": []}
    for name in sorted(set(edgesim.__all__) - {"__version__"}):
        thing = getattr(edgesim, name)
        is_error = isinstance(thing, type) and issubclass(thing, BaseException)
        groups["exception" if is_error else "class" if isinstance(thing, type) else "function"].append(name)
    titles = {"function": "Functions", "class": "Classes", "exception": "Errors"}
    for kind, names in groups.items():
        directives = "\n".join(f".. auto{kind}:: edgesim.{name}\n" for name in names)
        yield f"\n## {titles[kind]}\n\n```{{eval-rst}}\n{directives}```\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
