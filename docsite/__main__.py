"""Build the site and the manual pages: ``python -m docsite [DIRECTORY]``; `make docs` installs what this needs.

The sources are gathered in DIRECTORY/source (build/docs), and built into DIRECTORY/html and DIRECTORY/man. Every
warning is an error: a link to a page or a heading that is not there, a page that no list has, a docstring that is not
read.

The generator is Sphinx with the theme furo. MkDocs 1 is no longer maintained, its theme Material ends in November 2026,
and their successor Zensical has no stable version yet; Sphinx is released twice a year, reads Markdown (MyST), follows
links and headings strictly, and writes manual pages from the same sources.
"""

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from docsite import sources

CONFIGURATION = Path(__file__).parent


def build(directory: Path) -> int:
    """Gather the sources and build the site and the manual pages; return Sphinx's exit code."""
    shutil.rmtree(directory, ignore_errors=True)
    source = directory / "source"
    sources.gather(source)
    for builder in ("html", "man"):
        where = ["-c", str(CONFIGURATION), "-d", str(directory / "doctrees"), str(source), str(directory / builder)]
        strict = ["--fail-on-warning", "--keep-going", "--quiet", "-j", "2"]
        if code := build_main(["-b", builder, *strict, *where]):
            return code
    print(f"{directory / 'html' / 'index.html'}\n{directory / 'man'}")
    return 0


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs")))
