"""Labels on everything that edgesim makes in an engine: its kind, its run, and its owner."""

import os
import socket

import psutil

from edgesim.version import __version__

LABEL = "edgesim"  # the value is edgesim's version
SESSION_LABEL = "edgesim.session"
OWNER_LABEL = "edgesim.owner"
STACK_LABEL = "edgesim.stack"  # the value is the stack's name


def run_labels(session: str | None = None) -> dict[str, str]:
    """Return the labels of a container of this run; `session` names the containers that are removed together."""
    labels = {LABEL: __version__, OWNER_LABEL: owner()}
    return labels | ({SESSION_LABEL: session} if session is not None else {})


def owner() -> str:
    """Return the owner of this run's containers: host, process and the process's start, a triple that never recurs."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def owner_is_gone(label: str) -> bool:
    """Return whether the process that an owner label names has ended; False for a process of another host."""
    host, _, process = label.partition(":")
    pid, _, started = process.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" != started
    except psutil.NoSuchProcess:
        return True
