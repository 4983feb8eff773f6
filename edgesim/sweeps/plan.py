"""The plan of a sweep: its cells, of which each is done once, and what is left out, with the reason."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, get_args

from edgesim.errors import ModelError, UsageError, did_you_mean
from edgesim.jobs import check
from edgesim.jobs.check import CheckOptions
from edgesim.jobs.run import RUN_OPTIONS
from edgesim.models.repository import Model
from edgesim.options import ALL_OPTIONS, CPU, InputOptions, RunOptions
from edgesim.predictions import calibration
from edgesim.predictions.calibration import Calibration
from edgesim.profiles import DeviceProfile
from edgesim.results.cell_result import Job
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.choice import ChosenModel, chosen_models, chosen_profiles, is_pattern
from edgesim.sweeps.file_tree import FileTree
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.model_files import inputs_tree
from edgesim.sweeps.variants import require_precision, variant, without_variants

JOBS: tuple[Job, ...] = get_args(Job)
_OF_PREDICTION = frozenset(("batch", "threads"))
_OF_CHECK = frozenset(field.name for field in fields(CheckOptions)) - {"targets", "reference"}
# Options that the sweep decides, or that have no meaning for several cells.
_REFUSED = frozenset(("output", "packed", "port", "results", "watch"))
# The options that each job has a use for.
_USED: Mapping[Job, frozenset[str]] = {
    "predict": frozenset({*InputOptions.model_fields, "models", "target"}) | _OF_PREDICTION,
    "run": frozenset(RUN_OPTIONS) - _REFUSED,
    "check": (check.OPTIONS | {"target"} | _OF_CHECK) - _REFUSED,
}
_OWN = frozenset(("job", "precision"))
KNOWN = frozenset({*_OWN, *_OF_PREDICTION, *_OF_CHECK, *ALL_OPTIONS}) - _REFUSED
# The options that have a field of their own in a cell's result, or say where files are.
_NOT_SHOWN = frozenset((*_OWN, "target", "models"))
ALL_TARGETS = "all"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The cells of a sweep, and the combinations without a cell.

    Attributes:
        cells: in the order in which they are done: predictions first, and all boards of a model together.
        left_out: combinations without a cell, each with the reason in words.
    """

    cells: tuple[Cell, ...]
    left_out: tuple[str, ...] = ()

    def jobs(self) -> dict[Job, int]:
        """Return the number of cells by job."""
        return {job: count for job in JOBS if (count := sum(cell.job == job for cell in self.cells))}


def plan(matrix: Matrix, *, doing: Callable[[str], None] = lambda _: None) -> Plan:
    """Return the cells of a matrix.

    Args:
        doing: hears of long work, such as the quantization of a model.

    Raises:
        UsageError: an option does not exist, has a wrong value, or no job of the sweep has a use for it.
        ProfileError, ModelError: a pattern names nothing.
    """
    _require_known(matrix)
    boards = chosen_profiles(matrix.profile)
    directories = {Path(value) if value is not None else None for value in matrix.set.get("models", (None,))}
    if len(directories) > 1:
        raise UsageError("`models`: a sweep has one model repository", fix="name models by their files")
    models = chosen_models(matrix.model, directories.pop())
    precisions = [require_precision(value) for value in matrix.set.get("precision", ())]
    models = without_variants(models, precisions)
    _require_targets(matrix, boards)
    cells: dict[str, Cell] = {}
    left_out: dict[str, None] = {}
    planner = _Planner(matrix, doing)
    for chosen, board, combination in itertools.product(models, boards, list(matrix.combinations())):
        for cell in planner.cells(combination, chosen, board, left_out):
            cells.setdefault(cell.key, cell)
    if not cells:
        reasons = f": {'; '.join(left_out)}" if left_out else ": `exclude` leaves out all"
        raise UsageError(f"the sweep has no cell{reasons}")
    ordered = sorted(cells.values(), key=lambda cell: JOBS.index(cell.job))
    return Plan(cells=tuple(ordered), left_out=tuple(left_out))


def _require_known(matrix: Matrix) -> None:
    jobs = _jobs(matrix)
    used = frozenset[str]().union(*(_USED[job] for job in jobs)) | _OWN
    for name in matrix.set:
        if name in _REFUSED:
            raise UsageError(f"`set`: {name}: each cell of a sweep has its own", fix="omit it")
        if name not in KNOWN:
            raise UsageError(f"`set`: {name}: no such option{did_you_mean(name, KNOWN)}")
        if name not in used:
            takers = [job for job in JOBS if name in _USED[job]]
            raise UsageError(f"`set`: {name}: no {' or '.join(jobs)} uses it", fix=f"for example: job={takers[0]}")


def _jobs(matrix: Matrix) -> list[Job]:
    jobs = matrix.set.get("job", ("predict",))
    for job in jobs:
        if job not in JOBS:
            raise UsageError(f"`set`: job={job}: not one of {', '.join(JOBS)}{did_you_mean(str(job), JOBS)}")
    return list(jobs)


def _require_targets(matrix: Matrix, boards: list[DeviceProfile]) -> None:
    """Refuse a target that none of the boards has."""
    known = {target: None for board in boards for target in board.targets}
    for target in matrix.set.get("target", ()):
        if target not in (None, ALL_TARGETS) and not any(fnmatchcase(name, str(target)) for name in known):
            raise UsageError(
                f"`set`: target={target}: no board of the sweep has such a target; they have {', '.join(known)}"
                f"{did_you_mean(str(target), known)}"
            )


class _Board(NamedTuple):
    """Facts of a board that are the same for all of its cells, and take a millisecond to read."""

    sha256: str
    calibrations: dict[str, Calibration]

    @classmethod
    def of(cls, board: DeviceProfile) -> "_Board":
        return cls(board.sha256, calibration.of_board(board))


class _Planner:
    """Makes the cells of single combinations."""

    def __init__(self, matrix: Matrix, doing: Callable[[str], None]) -> None:
        self._matrix, self._doing = matrix, doing
        self._variants: dict[tuple[str, str, str], ChosenModel | ModelError] = {}
        self._boards: dict[str, _Board] = {}
        self._trees: dict[tuple[Path, str], FileTree] = {}

    def cells(
        self, combination: Mapping[str, Any], chosen: ChosenModel, board: DeviceProfile, left_out: dict[str, None]
    ) -> Iterator[Cell]:
        """Yield the cells of one combination: one for each target that it names."""
        job: Job = combination.get("job", "predict")
        values = {name: value for name, value in combination.items() if name in _USED[job] and value is not None}
        precision = combination.get("precision")
        facts = {**combination, "profile": board.reference, "model": chosen.files.name}
        known = self._known(board)
        targets = _targets(board, combination.get("target"))
        if not targets:
            left_out[f"{board.reference} has no target {combination['target']}"] = None
        for target in targets:
            if self._matrix.excludes(facts | {"target": target or CPU}):
                continue
            options = RunOptions.of(
                target=target,
                **{name: value for name, value in values.items() if name in _OPTIONS and name != "target"},
            )
            if job == "check":
                options = options.without({"requests", "target"})
            try:
                model = self._variant(chosen, precision, options.inputs)
            except ModelError as error:
                left_out[error.problem] = None
                return
            yield Cell(
                job=job,
                profile=board,
                model=model.files,
                label=chosen.files.name,
                precision=precision,
                options=options,
                checks=_checks(values, target) if job == "check" else CheckOptions(),
                batch=_count(values, "batch") or 1 if job == "predict" else 1,
                threads=_count(values, "threads") if job == "predict" else None,
                profile_sha256=known.sha256,
                calibrations=known.calibrations if job != "check" else {},
                files=self._files(options, model),
                note=model.note,
                settings={name: _shown(value) for name, value in values.items() if name not in _NOT_SHOWN},
            )

    def _known(self, board: DeviceProfile) -> "_Board":
        if board.reference not in self._boards:
            self._boards[board.reference] = _Board.of(board)
        return self._boards[board.reference]

    def _variant(self, chosen: ChosenModel, precision: str | None, inputs: InputOptions) -> ChosenModel:
        if precision is None:
            return chosen
        key = (chosen.files.sha256, precision, inputs.model_dump_json())
        if key not in self._variants:
            self._doing(f"{chosen.files.name}: {precision}")
            try:
                self._variants[key] = variant(chosen, precision, inputs)
            except ModelError as error:
                self._variants[key] = error
        found = self._variants[key]
        if isinstance(found, ModelError):
            raise found
        return found

    def _files(self, options: RunOptions, chosen: ChosenModel) -> dict[str, FileTree]:
        """Return the files that the options name, by option."""
        named = {"input": options.inputs.input, "inputs_file": options.inputs.inputs_file}
        found = {}
        for option, path in named.items():
            if path is None:
                continue
            key = (path, chosen.files.sha256 if option == "inputs_file" else "")
            if key not in self._trees:
                try:
                    self._trees[key] = _tree(path.absolute(), chosen.model if option == "inputs_file" else None)
                except OSError as error:
                    raise UsageError(
                        f"`{option}`: {path}: {error.strerror}", fix="name a file that you can read"
                    ) from error
            found[option] = self._trees[key]
        return found


def _tree(path: Path, model: Model | None) -> FileTree:
    """Return the files of a path: all files of a directory; or a file, and the files that an inputs file names.

    Raises:
        OSError: a file cannot be read.
    """
    if path.is_dir():
        return FileTree.below(path, sorted(file for file in path.rglob("*") if file.is_file()))
    return inputs_tree(path, model) if model is not None else FileTree.below(path.parent, [path])


_OPTIONS = frozenset(ALL_OPTIONS)


def _targets(board: DeviceProfile, value: Any) -> list[str | None]:
    """Return the targets of a board that a value, a pattern or ``all`` names; ``[None]`` if the value is None."""
    if value is None:
        return [None]
    if value == ALL_TARGETS:
        return list(board.targets)
    return [name for name in board.targets if (fnmatchcase(name, value) if is_pattern(value) else name == value)]


def _checks(values: Mapping[str, Any], target: str | None) -> CheckOptions:
    chosen = {name: value for name, value in values.items() if name in _OF_CHECK}
    targets = (target,) if target not in (None, CPU) else ()
    try:
        return CheckOptions(**chosen, targets=targets)
    except (TypeError, ValueError) as error:
        raise UsageError(f"`set`: {error}") from error


def _count(values: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number of at least 1."""
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"`{name}={value}`: not a whole number of at least 1")
    return value


def _shown(value: Any) -> Any:
    """Return a value as a table shows it."""
    return value if isinstance(value, str | int | float | bool) else str(value)
