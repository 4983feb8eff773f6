"""Sphinx's configuration; Sphinx reads these names."""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docsite import command_pages  # noqa: E402 - found through the line above

project = "edgesim"
author = copyright = "The edgesim authors"  # noqa: A001 - Sphinx's name
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4  # as GitHub makes them
smartquotes = False  # a -- is an option's, not a dash
suppress_warnings = ["myst.header"]
highlight_language = "text"
default_role = "code"  # docstrings write `name`

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"edgesim {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-dark"

man_pages = [
    ("reference/commands", "edgesim", "find out what a model will do on an edge board", author, 1),
    *(
        (f"reference/commands/{page.name}", f"edgesim-{page.name}", page.summary, author, 1)
        for page in command_pages.pages()
    ),
]
man_show_urls = False
