"""The matrix of a sweep: which boards, which models, and the values of each option."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edgesim import yaml_files
from edgesim.errors import UsageError, field_problem

_EXAMPLE = "see docs/reference/sweep-file.md for a sweep file"
# A sweep file may be a stranger's: code that runs on this host is named by the user.
_BY_USER_ALONE = "host_libraries"
# More are a mistake in the matrix.
_MOST_CELLS = 100_000


def _listed(value: Any) -> Any:
    """Return a single value as a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def _by_name(value: Any) -> Any:
    return {name: _listed(values) for name, values in value.items()} if isinstance(value, Mapping) else value


Patterns = Annotated[tuple[str, ...], BeforeValidator(_listed)]
# The values of each option, by its name.
Settings = Annotated[
    dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]], BeforeValidator(_by_name), Field(default_factory=dict)
]


class Matrix(BaseModel):
    """The cells of a sweep: every profile with every model and every combination of values.

    Attributes:
        profile: names, ``NAME:MODE`` or files, each with ``*`` and ``?`` for several.
        model: names in the model repository, files or directories of it, with ``*`` and ``?`` for several.
        set: the values of each option, by its name: ``job``, ``precision``, ``threads``, ``batch``, a field of
            `edgesim.RunOptions` or of `edgesim.CheckOptions`.
        exclude: combinations to leave out: each has patterns by ``profile``, ``model`` or an option's name. A cell
            that matches all patterns of a combination is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Annotated[Patterns, Field(min_length=1)]
    model: Annotated[Patterns, Field(min_length=1)]
    set: Settings
    exclude: tuple[dict[str, Annotated[tuple[Any, ...], BeforeValidator(_listed)]], ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Matrix":
        """Read a sweep file.

        Raises:
            UsageError: names each line that is wrong.
        """
        document = yaml_files.read(path, "sweep file", UsageError, example=_EXAMPLE)
        try:
            matrix = cls.model_validate(document)
        except ValidationError as error:
            raise UsageError(yaml_files.problems(path, document, cls, error), fix=_EXAMPLE) from error
        if _BY_USER_ALONE in matrix.set:
            raise UsageError(
                f"{path}: set.{_BY_USER_ALONE}: a library is code that runs on this host with your rights; no file"
                " names it",
                fix="remove the key; if you trust the library, name it on the command line:"
                f" --set {_BY_USER_ALONE}=FILE",
            )
        return matrix

    @classmethod
    def of(
        cls,
        profile: Sequence[str] = (),
        model: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        base: "Matrix | None" = None,
    ) -> "Matrix":
        """Return a matrix of options; they replace the keys of the sweep file.

        Raises:
            UsageError: there is no profile, or no model.
        """
        values = dict(base) if base is not None else {"profile": (), "model": (), "set": {}}
        values |= {name: _listed(given) for name, given in (("profile", profile), ("model", model)) if given}
        values["set"] = {**values["set"], **(settings or {})}
        for name in ("profile", "model"):
            if not values[name]:
                raise UsageError(f"`{name}`: a sweep needs at least one", fix=f"give `{name}`, or a sweep file")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"`{first['loc'][0]}`: {field_problem(first)}", fix=_EXAMPLE) from error

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Yield each combination of the options' values, by name, the last option's values first.

        Raises:
            UsageError: there are too many.
        """
        count = 1
        for values in self.set.values():
            count *= len(values)
        if count > _MOST_CELLS:
            raise UsageError(f"{count:,} combinations of options, more than {_MOST_CELLS:,}", fix="set fewer values")
        for values in itertools.product(*self.set.values()):
            yield dict(zip(self.set, values, strict=True))

    def excludes(self, facts: Mapping[str, Any]) -> bool:
        """Return whether a cell with these facts, by name, is left out."""
        return any(
            all(any(_matches(facts.get(name), pattern) for pattern in patterns) for name, patterns in entry.items())
            for entry in self.exclude
        )


def _matches(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, str) and value is not None:
        return fnmatchcase(str(value), pattern)
    return bool(value == pattern)
