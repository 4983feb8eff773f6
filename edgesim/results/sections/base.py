"""The base of all sections of a result file."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a result file; unknown fields, of a newer version of edgesim, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Kind = TypeVar("Kind", bound=Section)


def section(kind: type[Kind], value: object) -> Kind:
    """Return a section with the fields of `value`, an object that has attributes of the same names.

    The packages that measure return values of their own, and do not know the result file; the builders of results
    convert these values here.
    """
    return kind.model_validate(value, from_attributes=True)


def optional_section(kind: type[Kind], value: object | None) -> Kind | None:
    """Return a section as `section` does; None for a value that the run does not have."""
    return section(kind, value) if value is not None else None
