"""``edgesim doctor``."""

from dataclasses import replace
from typing import Annotated

import typer
from rich.text import Text

from edgesim import profiles
from edgesim.cli import _console
from edgesim.cli._app import new_app
from edgesim.cli._console import out, print_json
from edgesim.cli._flags import with_flags
from edgesim.cli._options import ContextOption, JsonOption
from edgesim.engine.context import resolve
from edgesim.errors import ExitCode
from edgesim.jobs import doctor
from edgesim.progress import Stages
from edgesim.reports.formats.text_layout import Entries, Entry

app = new_app()


@app.examples("edgesim doctor", "edgesim doctor --probe jetson-nano", "edgesim doctor --worker tcp://HOST:8786")
def doctor_command(
    probe: Annotated[
        str | None,
        typer.Option("--probe", metavar="PROFILE", help="Try whether this host enforces the limits of this board."),
    ] = None,
    worker: Annotated[
        str | None,
        typer.Option(
            "--worker",
            metavar="ADDRESS",
            help="Print only the command that starts a worker of this Dask scheduler on this host, with the host's"
            " resources.",
        ),
    ] = None,
    context: ContextOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check what this host can do, and how to fix what is missing.

    The exit code is 3 if something is missing.
    """
    if probe is not None:
        return _probe(probe, context, as_json)
    if worker is not None:
        print(doctor.worker_command(resolve(context), worker))
        return ExitCode.OK
    checks = [replace(check, fix=with_flags(check.fix)) for check in doctor.diagnose(resolve(context))]
    if as_json:
        print_json([{"name": c.name, "status": c.status, "finding": c.finding, "fix": c.fix} for c in checks])
    else:
        styles = {"ok": "green", "optional": "yellow", "problem": "red"}
        for check in checks:
            # Not a table: what is to be copied must not be folded.
            status = (f"{check.status:<9}", styles[check.status])
            out.print(Text.assemble(f"{check.name:<11}", status, check.finding), soft_wrap=True)
            if check.fix:
                out.print(f"{'':<20}fix: {check.fix}", soft_wrap=True)
    return ExitCode.HOST if any(check.status == "problem" for check in checks) else ExitCode.OK


def _probe(reference: str, context: str | None, as_json: bool) -> int:
    findings = doctor.probe(profiles.load(reference), resolve(context), Stages(_console.listener()))
    if as_json:
        print_json([{"name": f.name, "holds": f.holds, "finding": f.words} for f in findings])
    else:
        words = {True: ("holds", "green"), False: ("DOES NOT HOLD", "red"), None: ("not tried", "yellow")}
        entries = [Entry(((finding.name, ""), words[finding.holds]), finding.words) for finding in findings]
        _console.show(Entries(entries))
    return ExitCode.HOST if any(finding.holds is False for finding in findings) else ExitCode.OK
