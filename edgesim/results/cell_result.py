"""The result of one cell of a sweep: its figures by name, or the error with which it failed."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from edgesim import errors
from edgesim.errors import EdgesimError, ExitCode
from edgesim.results import result_file
from edgesim.results.sections.base import Section

Job = Literal["predict", "run", "check"]
# Of a host that cannot do the work now: such an error says nothing about the cell, which stays undone.
_OF_THE_HOST_ALONE = frozenset(("EngineMissing", "EngineDenied", "DiskFull"))
_MAKE = "edgesim sweep -o DIR writes one"


class Figure(Section):
    """One figure of a cell, by the name that rules have for it.

    Attributes:
        value: None where the figure is not known; `note` then says why.
        low, high: an interval around the value: the band of a prediction, or what `interval_kind` says.
        host: the machine that the figure is of, such as a time that was measured on it; None for what is no host's: a
            prediction, an answer, memory, instructions. Figures of two hosts are never one series.
        note: why the value is not the board's, or why there is none.
        impossible: whether the board cannot have a value, as a GPU for a precision that it has no fast path for.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    interval_kind: str = ""
    host: str | None = None
    note: str = ""
    impossible: bool = False


class CellError(Section):
    """Why a cell failed.

    Attributes:
        kind: the class of the error: ``OutOfMemory``.
        log: the end of the log of the program that failed.
    """

    kind: str
    problem: str
    fix: str = ""
    exit_code: int = int(ExitCode.INTERNAL)
    log: str = ""

    @property
    def is_of_the_host_alone(self) -> bool:
        """Whether the host cannot work at all, which says nothing about the cell."""
        return self.kind in _OF_THE_HOST_ALONE

    def as_error(self) -> EdgesimError:
        """Return the error that says the same; of a class outside of edgesim's tree, the root of the tree."""
        kind = getattr(errors, self.kind, EdgesimError)
        known = isinstance(kind, type) and issubclass(kind, EdgesimError)
        return (kind if known else EdgesimError)(self.problem, fix=self.fix, log=self.log)


class Price(Section):
    """What a board costs, as its profile states it."""

    amount: float
    currency: str


class CellResult(Section):
    """What one cell gave.

    Attributes:
        key: the digest of all that determines the result.
        profile: the profile's reference, with its power mode: ``jetson-nano:5w``.
        board: the profile's title.
        model: the model's name, without its variant.
        precision: the variant of the model that the sweep asked for; None where it asked for none.
        target: what runs the model on the board: ``cpu``, ``gpu:tensorrt-fp16``.
        settings: the options that the sweep set, by name, but for those that have a field of their own here.
        figures: by the names of metrics: ``device_time_ms.p50``.
        word: VALID or INVALID of a run, PASS, FAIL or INCONCLUSIVE of a check; None of a prediction.
        does_not_fit: why the board has not the memory for the model; empty if it has, or nobody knows.
        method: how the device time is known.
        notes: what makes the figures less certain, or what a check found.
        host: the machine that did the work.
        error: None unless the cell failed.
        seconds: that the cell took.
        report: the JSON text of the run's result or of the check's verdict, which has a file of its own beside the
            cell's; None of a prediction, and where the file is not read.
    """

    schema_version: Literal[1] = 1
    kind: Literal["cell"] = "cell"
    key: str
    created: str
    edgesim_version: str
    job: Job
    profile: str
    board: str
    model: str
    precision: str | None = None
    target: str = "cpu"
    settings: dict[str, Any] = Field(default_factory=dict)
    figures: dict[str, Figure] = Field(default_factory=dict)
    word: str | None = None
    does_not_fit: str = ""
    method: str = ""
    notes: tuple[str, ...] = ()
    host: str
    price: Price | None = None
    error: CellError | None = None
    seconds: float = 0.0
    report: str | None = Field(default=None, exclude=True)

    @property
    def failed(self) -> bool:
        """Whether the cell has an error in place of figures."""
        return self.error is not None

    @property
    def name(self) -> str:
        """What tells the cell from others of its sweep: ``jetson-nano digits int8 threads=4``."""
        target = self.target if self.target != "cpu" else ""
        settings = (f"{name}={value}" for name, value in self.settings.items())
        return " ".join(filter(None, (self.profile, self.model, self.precision, target, *settings)))

    def value(self, figure: str) -> float | None:
        """Return the value of a figure; None where it is not known."""
        return self.figures[figure].value if figure in self.figures else None

    def as_json(self) -> str:
        """Return the text of the cell's file."""
        document = self.model_dump(mode="json")
        # What a figure does not have is left out: there are fifty of a run.
        document["figures"] = {
            name: figure.model_dump(mode="json", exclude_defaults=True) for name, figure in self.figures.items()
        }
        return result_file.json_text(document)

    @classmethod
    def read(cls, path: Path | str) -> "CellResult":
        """Read a cell's file.

        Raises:
            ResultError: the file cannot be read, or is not a cell's.
        """
        return result_file.validated(cls, result_file.document(path, "a cell's result", fix=_MAKE), path)
