"""Labels on everything that edgesim makes in an engine: its kind, its run, and its owner."""

from edgesim.host.owner import Owner
from edgesim.version import __version__

LABEL = "edgesim"  # the value is edgesim's version
SESSION_LABEL = "edgesim.session"
OWNER_LABEL = "edgesim.owner"
STACK_LABEL = "edgesim.stack"  # the value is the stack's name


def run_labels(session: str | None = None) -> dict[str, str]:
    """Return the labels of a container of this run; `session` names the containers that are removed together."""
    labels = {LABEL: __version__, OWNER_LABEL: Owner.this_process().label}
    return labels | ({SESSION_LABEL: session} if session is not None else {})
