"""HTML: a page that is complete in itself. Needs Jinja and Plotly, which the `report` extra installs."""

from importlib import import_module
from types import ModuleType

from edgesim.errors import HostError
from edgesim.reports.comparison import Comparison
from edgesim.reports.overview import Overview
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult

DESCRIPTION = "a page to look at"


def render_result(result: RunResult, file: str) -> str:
    """Return the page of a run.

    Raises:
        HostError: Jinja or Plotly is not installed.
    """
    return str(require_page().render_result(result, file))


def render_stack(result: StackResult, file: str) -> str:
    """Return the page of a stack's run.

    Raises:
        HostError: Jinja or Plotly is not installed.
    """
    return str(require_page().render_stack(result, file))


def render_comparison(comparison: Comparison) -> str:
    """Return the page of two results.

    Raises:
        HostError: Jinja or Plotly is not installed.
    """
    return str(require_page().render_comparison(comparison))


def render_overview(overview: Overview) -> str:
    """Return the page of several results.

    Raises:
        HostError: Jinja or Plotly is not installed.
    """
    return str(require_page().render_overview(overview))


def render_sweep(overview: SweepOverview) -> str:
    """Return the page of a sweep.

    Raises:
        HostError: Jinja or Plotly is not installed.
    """
    return str(require_page("sweep_page").render_sweep(overview))


def require_page(name: str = "page") -> ModuleType:
    """Return a module that draws pages, imported only here: Plotly takes long to import, and may not be installed.

    Raises:
        HostError: Jinja or Plotly is not installed.
    """
    try:
        return import_module(f"edgesim.reports.formats.html.{name}")
    except ModuleNotFoundError as error:
        if error.name not in ("plotly", "jinja2", "markupsafe"):
            raise
        raise HostError(
            f"a page needs {error.name}, which is not installed", fix="pip install 'edgesim[report]'"
        ) from error
