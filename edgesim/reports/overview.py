"""Several results in one table: of different boards or models, which a comparison of changes has no meaning for."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from edgesim.options import CPU
from edgesim.reports import phrases
from edgesim.reports.tables import Table
from edgesim.results.run_result import RunResult
from edgesim.units import format_bytes, format_ms

_HEADS = ("device time, ms", "band, ms", "memory peak", "answers differ by", "answers agree", "model size")


@dataclass(frozen=True)
class Overview:
    """Several results side by side, a row each.

    `files` are the names of the result files. `different` names what keeps two results from being compared change by
    change, beside the board and the model; empty for more than two.
    """

    results: tuple[RunResult, ...]
    files: tuple[str, ...]
    different: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """What the results are of: ``mobilenet_v2 on 3 boards``."""
        models, boards = dict.fromkeys(map(_model, self.results)), dict.fromkeys(map(_board, self.results))
        model = next(iter(models)) if len(models) == 1 else f"{len(models)} models"
        board = phrases.board(self.results[0].profile) if len(boards) == 1 else f"{len(boards)} boards"
        return f"{model} on {board}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each result: what its model, board and execution differ in, and its file if names are equal."""
        named = [part for part in (_model, _board) if self._varies(part)]
        names = [" on ".join(part(result) for part in named) for result in self.results]
        if self._varies(_execution):
            pairs = zip(names, self.results, strict=True)
            names = [", ".join(filter(None, (name, _execution(result)))) for name, result in pairs]
        counts = Counter(names)
        short = [PurePath(file).name for file in self.files]
        files = short if len(set(short)) == len(short) else self.files
        return tuple(
            name if counts[name] == 1 else f"{name} ({file})" if name else file
            for name, file in zip(names, files, strict=True)
        )

    def _varies(self, part: Callable[[RunResult], str]) -> bool:
        return len(set(map(part, self.results))) > 1

    def table(self, *, files: bool = True) -> Table:
        """Return a row for each result: its time, memory, answers and validity, and the model's size.

        Args:
            files: add the names of the files, unless the results are named by them.
        """
        labels = self.labels
        files = files and labels != self.files
        rows = tuple(
            (label, *_cells(result), *self._accelerated(result), result.validity.words, *((file,) if files else ()))
            for label, result, file in zip(labels, self.results, self.files, strict=True)
        )
        accelerated = ("accelerator, ms",) if self._targets else ()
        heads = ("result", *_HEADS, *accelerated, "validity", *(("file",) if files else ()))
        return Table("results side by side", heads, rows, text=(0, *range(len(_HEADS) + 1, len(heads))))

    def notes(self) -> Iterator[str]:
        """Yield what makes a device time less certain, why one is not known, and why a run cannot be trusted."""
        yield from (f"not like with like: {field}" for field in self.different)
        for label, result in zip(self.labels, self.results, strict=True):
            validity = result.validity
            about = result.device_time_ms.notes
            if result.device_time_ms.p50 is None:
                about = (f"device time not known: {result.device_time_ms.method.removeprefix('none: ')}",)
            if result.profile.has_core_of_host:
                about = ("the time is this host's time, not a board's", *about)
            yield from (f"{label}: {words}" for words in (*about, *validity.reasons, *validity.suspicions))

    def document(self) -> dict[str, Any]:
        """Return the overview for programs."""
        return {"different": list(self.different), "results": self.figures(), "caveats": list(self.notes())}

    def figures(self) -> list[dict[str, Any]]:
        """Return the table for programs: numbers with their units in their names, None where one is not known."""
        return [
            {"result": label, "file": file, **_figures(result), **self._targets_of(result)}
            for label, result, file in zip(self.labels, self.results, self.files, strict=True)
        ]

    @property
    def _targets(self) -> tuple[str, ...]:
        """The accelerators' targets that any of the results has."""
        return tuple(dict.fromkeys(name for result in self.results for name in result.targets if name != CPU))

    def _targets_of(self, result: RunResult) -> dict[str, float | None]:
        """Return a result's times by target, for all targets that any of the results has."""
        if not self._targets:
            return {}
        sections = {name: result.targets.get(name) for name in (CPU, *self._targets)}
        return {
            f"targets.{name}.p50_ms": section.p50_ms if section is not None else None
            for name, section in sections.items()
        }

    def _accelerated(self, result: RunResult) -> tuple[str, ...]:
        """Return a cell with a result's shortest time on an accelerator; none if no result has an accelerator."""
        if not self._targets:
            return ()
        times = [(result.targets[name].p50_ms, name) for name in self._targets if name in result.targets]
        known = [(ms, name) for ms, name in times if ms is not None]
        return (f"{format_ms(min(known)[0])} on {min(known)[1]}" if known else "-",)


def _model(result: RunResult) -> str:
    return result.model.name


def _board(result: RunResult) -> str:
    return ":".join(filter(None, (result.profile.name, result.profile.mode)))


def _execution(result: RunResult) -> str:
    return result.execution


def _of_board(result: RunResult) -> RunResult:
    """Return the half of a run that has the board's memory and answers."""
    return result.emulated if result.emulated is not None else result


def _figures(result: RunResult) -> dict[str, Any]:
    time, board = result.device_time_ms, _of_board(result)
    agreement, used = board.agreement, board.resources
    return {
        "model": result.model.name,
        "model_sha256": result.model.sha256,
        "profile": result.profile.name,
        "mode": result.profile.mode,
        "execution": result.execution,
        "device_time_target": time.target,
        "device_time_p50_ms": time.p50,
        "device_time_low_ms": time.low,
        "device_time_high_ms": time.high,
        "memory_peak_bytes": used.memory_peak_bytes,
        "memory_limit_bytes": used.memory_limit_bytes,
        "answers_max_abs_difference": agreement.max_abs_difference if agreement is not None else None,
        "same_class": agreement.same_class if agreement is not None else None,
        "accuracy": agreement.accuracy_device if agreement is not None else None,
        "model_size_bytes": result.model.size_bytes,
        "latency_p50_ms": result.latency_ms.p50,
        "valid": result.validity.valid,
        "validity": result.validity.words,
    }


def _cells(result: RunResult) -> Sequence[str]:
    facts = _figures(result)

    def shown(name: str, words: str) -> str:
        return words if facts[name] is not None else "-"

    low, p50, high = (facts[f"device_time_{name}_ms"] for name in ("low", "p50", "high"))
    peak, limit = facts["memory_peak_bytes"], facts["memory_limit_bytes"]
    right = "-"
    if facts["accuracy"] is not None:
        right = f"accuracy {100 * facts['accuracy']:.2f} %"
    elif facts["same_class"] is not None:
        right = f"same class {100 * facts['same_class']:.0f} %"
    return (
        shown("device_time_p50_ms", format_ms(p50 or 0.0)),
        f"{format_ms(low)} to {format_ms(high)}" if low is not None and high is not None else "-",
        shown("memory_peak_bytes", f"{format_bytes(peak or 0)}{f' of {format_bytes(limit)}' if limit else ''}"),
        shown("answers_max_abs_difference", f"{facts['answers_max_abs_difference'] or 0.0:.2g}"),
        right,
        format_bytes(facts["model_size_bytes"]),
    )
