"""The stamp of a result or a verdict: when it was made, and by which edgesim."""

from datetime import UTC, datetime
from typing import TypedDict

from edgesim.version import __version__


class Stamp(TypedDict):
    """The fields that each result and each verdict begins with.

    Keys:
        created: the time in UTC, ISO 8601, in seconds.
        edgesim_version: the version of edgesim.
    """

    created: str
    edgesim_version: str


def stamp() -> Stamp:
    """Return the stamp of this moment and of this edgesim."""
    return {"created": datetime.now(UTC).isoformat(timespec="seconds"), "edgesim_version": __version__}
