"""Where facts of a profile come from."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgesim.profiles import cores
from edgesim.profiles.part import Part


def _in_vendors_spelling(fact: str) -> str:
    """Return a dotted key with the core in it, which is a key of `emulation.others`, as `CoreName` reads the core."""
    section, separator, core = fact.partition("emulation.others.")
    return fact if section or not separator else separator + cores.title(core)


class Source(Part):
    """The source of facts (dotted keys of the profile, with all keys below them), and the confidence in them."""

    facts: Annotated[tuple[Annotated[str, AfterValidator(_in_vendors_spelling)], ...], Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    confidence: Literal["strong", "medium", "weak"] | None = None
