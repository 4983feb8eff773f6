"""The command line's entry: run a command, and turn how the command ended into an exit code."""

import atexit
import contextlib
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from edgesim.cli._app import missing_model
from edgesim.cli._clean_up import hand_over
from edgesim.cli._commands import CommandGroup
from edgesim.cli._stdout import lasting_output
from edgesim.errors import DISK_FULL, DiskFull, EdgesimError, ExitCode, HostError, UsageError, field_problem, of_host
from edgesim.host import signals
from edgesim.printable import harmless
from edgesim.version import __version__

_HELP = """Find out on your desk and in CI what a model will do on an edge board.

Defaults for options are read from `edgesim.toml`, or from `[tool.edgesim]` in `pyproject.toml`, in this directory or
the nearest one above."""

app = typer.Typer(
    name="edgesim",
    cls=CommandGroup,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # text in brackets is shown, and not taken for a style
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line, and exit with the code that stands for how the command ended."""
    signals.as_keyboard_interrupt(warn=_warn_of_interrupt, leave=_leave)
    code = _run(sys.argv[1:])
    signals.ignore()
    if code == ExitCode.INTERRUPTED:
        _exit_as_interrupted()
    sys.exit(code)


def _exit_as_interrupted() -> NoReturn:
    """Exit with 130. Python would end itself by SIGINT if it had seen the interrupt in code that it compiled itself.

    That is so in `exec`, with which dataclasses are made while modules are imported.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    atexit._run_exitfuncs()  # temporary directories that are still there
    os._exit(ExitCode.INTERRUPTED)


def _warn_of_interrupt() -> None:
    _say_at_once("cleaning up, a moment; Ctrl-C once more leaves that to `edgesim gc` in the background")


def _leave() -> NoReturn:
    """End the program without cleaning up, for which the user does not wait: a process in the background does it."""
    if hand_over(sys.argv[1:]):
        _say_at_once("interrupted while cleaning up: `edgesim gc` removes the rest, in the background")
    else:
        _say_at_once("interrupted while cleaning up: something may be left behind; `edgesim gc` removes it")
    os._exit(ExitCode.INTERRUPTED)


def _say_at_once(text: str) -> None:
    """Print a line on stderr within a signal handler, which may have interrupted another print."""
    with contextlib.suppress(OSError):
        os.write(2, f"edgesim: {text}\n".encode())


def _run(arguments: list[str]) -> int:
    with lasting_output() as lost:
        code = _exit_code(arguments)
        if (reason := lost()) is None:
            return code
        _show(HostError(f"standard output cannot be written: {reason}", fix="redirect it to a disk with free space"))
        return code or ExitCode.HOST


def _exit_code(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="edgesim", standalone_mode=False)
        if code == ExitCode.INTERRUPTED:  # how typer hands on a KeyboardInterrupt
            return _interrupted()
        return code if isinstance(code, int) else ExitCode.OK
    except KeyboardInterrupt:  # before typer catches it
        return _interrupted()
    except TyperException as error:
        if message := _message_of(error):  # empty if the help was the answer
            _show(UsageError(message, fix=_file_with_hyphen(arguments) or _fix_of(error)))
        return ExitCode.USAGE
    except EdgesimError as error:
        _show(error)
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return _disk_full(error)
        if isinstance(error, OSError) and (explained := of_host(error)) is not None:
            _show(explained)
            return explained.exit_code
        print(harmless(traceback.format_exc()), end="", file=sys.stderr)
        print(
            f"edgesim {__version__}: this is a bug in edgesim; please report it with the lines above", file=sys.stderr
        )
        return ExitCode.INTERNAL


def _disk_full(error: OSError) -> int:
    """Show that a disk is full where nobody expects it, as at any temporary file."""
    where = error.filename or tempfile.gettempdir()
    fix = f"free some space there (df -h {where}), or set TMPDIR to a directory with enough space"
    _show(DiskFull(f"no space left on the disk of {where}", fix=fix))
    return ExitCode.HOST


def _interrupted() -> int:
    print("edgesim: interrupted; nothing that was started still runs", file=sys.stderr)
    return ExitCode.INTERRUPTED


def _show(error: EdgesimError) -> None:
    from edgesim.cli._console import show_error  # with Rich, which a command that succeeds may not need

    show_error(error)


def _file_with_hyphen(arguments: list[str]) -> str:
    """Return how to name a file whose name begins as an option does; empty if no argument is one."""
    file = next((word for word in arguments if word.startswith("-") and Path(word).is_file()), None)
    return f"to name the file, write ./{file}" if file is not None else ""


def _message_of(error: TyperException) -> str:
    """Return what is wrong, with the value that is: Pydantic, which Typer asks about numbers, does not name it."""
    cause, parameter = error.__cause__, getattr(error, "param", None)
    details = cause.errors() if cause is not None and hasattr(cause, "errors") else []
    if not details or parameter is None or details[0]["type"] == "value_error":  # whose words name the value
        return error.format_message().replace("Value error, ", "")  # Pydantic's word for it
    name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name
    return f"{name} {str(details[0]['input'])!r}: {field_problem(details[0])}"


def _fix_of(error: TyperException) -> str:
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    command = context.command_path if context is not None else "edgesim"
    if context is None or parameter is None or parameter.name != "model" or parameter.param_type_name != "argument":
        return f"{command} --help"
    takes_profile = any(each.name == "profile" for each in context.command.params)
    profile = (context.params.get("profile") or "PROFILE") if takes_profile else ""
    return missing_model(command.removeprefix("edgesim "), profile)


def _print_version(requested: bool) -> None:
    if requested:
        print(f"edgesim {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version, and exit."
    ),
) -> None: ...
