"""What the markers of a test say."""

import pytest


def uses_engine(item: pytest.Item) -> bool:
    """Return whether a test uses the Docker Engine."""
    return any(item.get_closest_marker(name) for name in ("docker", "emulation"))
