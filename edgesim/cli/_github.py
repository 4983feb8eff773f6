"""What GitHub Actions shows of a verdict: annotations, and the summary of the step."""

import os
from collections.abc import Mapping
from pathlib import Path

from edgesim.cli._console import command, say
from edgesim.printable import printable
from edgesim.reports.formats import markdown
from edgesim.results.verdict import Verdict

_LEVELS = {"FAIL": "error", "INCONCLUSIVE": "warning"}


def tell(verdict: Verdict, environment: Mapping[str, str] = os.environ) -> None:
    """In an action, annotate each item that is not PASS, and add the verdict to the step's summary."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    for item in verdict.items:
        if item.verdict in _LEVELS:
            title = _property(f"edgesim {item.verdict}: {item.name}")
            # Actions read workflow commands on either stream; stdout may be for a program.
            command(f"::{_LEVELS[item.verdict]} title={title}::{_data(item.finding)}")
    summarise(markdown.render_verdict(verdict), environment)


def summarise(text: str, environment: Mapping[str, str] = os.environ) -> None:
    """In an action, add Markdown to the step's summary; a summary that cannot be written changes no exit code."""
    path = environment.get("GITHUB_STEP_SUMMARY")
    if environment.get("GITHUB_ACTIONS") != "true" or not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(text + "\n")
    except OSError as error:
        say(f"edgesim: the step's summary was not written: {path}: {error.strerror}")


def _data(text: str) -> str:
    """Return text as the value of a workflow command, which is one line."""
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
