"""An image in an engine."""

from dataclasses import dataclass

BASE_LABEL = "edgesim.base"  # the value says what the image was built on


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that the engine has.

    Attributes:
        reference: name and tag.
        base: what the image was built on; None if edgesim did not build it.
        cached: whether the engine had the image already, so that nothing was built.
    """

    reference: str
    id: str
    base: str | None
    cached: bool
