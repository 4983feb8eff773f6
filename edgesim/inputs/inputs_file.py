"""``inputs.yaml``: what a user says of a model's inputs in a file, checked as it is read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgesim import yaml_files
from edgesim.errors import ModelError, did_you_mean
from edgesim.inputs.pictures import Colors, Fit, Normalization
from edgesim.models.repository import Model
from edgesim.options import Generate

_EXAMPLE = "docs/reference/inputs-file.md has examples"
# An entry has one of these.
_SOURCES = ("value", "range", "one_of", "lines", "file", "length_of")
# Options of an entry, each with the source that it goes with.
_OPTIONS = {"key": "file", "normalize": "file", "colors": "file", "fit": "file", "rate": "file", "axis": "length_of"}
_Size = Annotated[int, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Section):
    """What the file says of one input. Without a source, the values are random.

    Attributes:
        shape: sizes of the input.
        value: a number, a text, or true or false, for all elements; or nested lists with each element. For an input
            that is no text, also one of the words ``ones``, ``zeros`` and ``random``.
        range: smallest and largest random value.
        one_of: several entries, which the requests take in turn.
        lines: a file of text; each request has the next line.
        file: a file of arrays, a picture or a sound, or a pattern such as ``requests/*.npy``; each request has the
            next file.
        key: name of the array in an ``.npz`` file; None means the name of the input.
        normalize, colors, fit: of pictures, see `edgesim.inputs.pictures.read`.
        rate: samples a second that a sound must have.
        length_of: the name of another input; the value is the size of its axis `axis`.
        axis: None means the second axis, or the only one.
    """

    shape: tuple[_Size, ...] | None = None
    value: Any = None
    range: tuple[float, float] | None = None
    one_of: Annotated[tuple["Entry", ...], Field(min_length=1)] | None = None
    lines: Path | None = None
    file: str | None = None
    key: str | None = None
    normalize: Normalization | None = None
    colors: Colors | None = None
    fit: Fit | None = None
    rate: Annotated[int, Field(gt=0)] | None = None
    length_of: str | None = None
    axis: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, written: Any) -> Any:
        """Take what is no mapping for the value: ``sr: 16000``."""
        return written if isinstance(written, Mapping | Entry) else {"value": written}

    def problems(self, key: str) -> Iterator[str]:
        """Yield what is wrong with keys that do not go together: ``KEY: …``."""
        sources = [source for source in _SOURCES if getattr(self, source) is not None]
        if len(sources) > 1:
            yield f"{key}: {' and '.join(sources)} exclude each other"
        if self.range is not None and not self.range[0] <= self.range[1]:
            yield f"{key}.range: the smallest value comes first"
        for option, source in _OPTIONS.items():
            if getattr(self, option) is not None and source not in sources:
                yield f"{key}.{option}: goes with {source}"
        for number, entry in enumerate(self.one_of or ()):
            if entry.shape is not None:
                yield f"{key}.one_of.{number}.shape: belongs beside one_of"
            yield from entry.problems(f"{key}.one_of.{number}")


class InputsFile(_Section):
    """A whole file.

    Attributes:
        dims: sizes by the name that the model has for them.
        inputs: entries by input name; an input without an entry is random.
        state: outputs that are fed into an input of the next request, each with that input; or ``auto``.
        generate: how much text a decoder generates.
    """

    dims: Mapping[str, _Size] = {}
    inputs: Mapping[str, Entry] = {}
    state: Mapping[str, str] | Literal["auto"] = {}
    generate: Generate | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> "InputsFile":
        if texts := [text for name, entry in self.inputs.items() for text in entry.problems(f"inputs.{name}")]:
            raise ValueError(*texts)
        return self


def read(path: Path, model: Model) -> InputsFile:
    """Read what a file says of a model's inputs.

    Raises:
        ModelError: the file is wrong, or of another model; the error names the line, the key and the nearest right one.
    """
    written = yaml_files.read(path, "file of inputs", ModelError, example=_EXAMPLE)
    try:
        said = InputsFile.model_validate(dict(written))
    except ValidationError as error:
        raise ModelError(yaml_files.problems(path, written, InputsFile, error), fix=_EXAMPLE) from error
    names = [tensor.name for tensor in model.inputs]
    if unknown := next((name for name in said.inputs if name not in names), None):
        takes = ", ".join(names) if names else "no inputs"
        raise ModelError(
            f"{path}: inputs.{unknown}: model {model.name} takes {takes}{did_you_mean(unknown, names)}",
            fix=f"a file for one of several models in a directory is called {model.path.stem}.{path.name}"
            if path == model.inputs_path and path.name == "inputs.yaml"
            else "",
        )
    return said
