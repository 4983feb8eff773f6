"""edgesim's command line as on macOS or Windows, as far as Linux can show it: what those systems lack is hidden.

``python -m tests.support.other_system macos|windows COMMANDS``, where COMMANDS is a JSON list of lists of words: each
command runs in this process, and its exit code and its output are printed as a line of JSON.
"""

import builtins
import contextlib
import importlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any, AnyStr

_MODULES = {"macos": (), "windows": ("fcntl", "grp", "pwd", "resource", "termios")}
_OF_LINUX = (
    "sched_getaffinity",
    "sched_setaffinity",
    "sched_getscheduler",
    "sched_setscheduler",
    "sched_getparam",
    "posix_fadvise",
    "O_PATH",
)
_OF_POSIX = (
    "fork",
    "getuid",
    "geteuid",
    "getgid",
    "getpriority",
    "setpriority",
    "statvfs",
    "sysconf",
    "uname",
    "killpg",
)
_FLAGS = ("O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY")
_OS = {"macos": _OF_LINUX, "windows": (*_OF_LINUX, *_OF_POSIX, *_FLAGS)}
_SIGNALS = {"macos": (), "windows": ("SIGHUP", "SIGKILL", "SIGALRM", "pthread_sigmask")}
_LIBRARIES = (
    "asyncio",
    "docker",
    "jinja2",
    "numpy",
    "onnx",
    "onnxruntime",
    "platformdirs",
    "psutil",
    "pydantic",
    "python_on_whales",
    "rich.console",
    "scipy.stats",
    "typer",
    "uuid",
    "yaml",
    "zipfile",
)
_ABSENT = ("/proc", "/sys", "/etc/machine-id")


class _Hidden:
    """A finder of modules that finds none of the hidden ones."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def hide(system: str) -> None:
    """Hide what `system` lacks, from edgesim's modules; the libraries are Linux' own, and are imported before."""
    for name in _LIBRARIES:
        importlib.import_module(name)

    for name in _MODULES[system]:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, _Hidden(_MODULES[system]))
    for module, names in ((os, _OS[system]), (signal, _SIGNALS[system])):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    # Python's own way to end a process, which is another one on Windows.
    subprocess.Popen.kill = _kill  # type: ignore[method-assign, assignment]
    for module, name in (
        (builtins, "open"),
        (io, "open"),
        (os, "open"),
        (os, "stat"),
        (os, "scandir"),
        (os, "listdir"),
    ):
        setattr(module, name, _without_linux(getattr(module, name)))


def _kill(process: "subprocess.Popen[AnyStr]") -> None:
    process.send_signal(9)


def _without_linux(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any = ".", *arguments: Any, **options: Any) -> Any:
        # psutil stands for itself: it reads another system in another way.
        of_library = "site-packages" in sys._getframe(1).f_code.co_filename
        if isinstance(path, str | os.PathLike) and str(path).startswith(_ABSENT) and not of_library:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return function(path, *arguments, **options)

    return call


def main() -> None:
    hide(sys.argv[1])
    from edgesim.cli import main as command_line

    for words in json.loads(sys.argv[2]):
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = command_line._run(words)
        line = json.dumps({"code": code, "output": output.getvalue(), "errors": errors.getvalue()})
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
