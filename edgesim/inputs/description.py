"""What the user says of a model's inputs, by options and in ``inputs.yaml``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesim.errors import ModelError
from edgesim.inputs import inputs_file
from edgesim.inputs.inputs_file import Entry, InputsFile
from edgesim.models import state
from edgesim.models.repository import Model
from edgesim.options import Generate, InputOptions


@dataclass(frozen=True, kw_only=True)
class InputDescription:
    """What the user says of a model's inputs. Options go before the file.

    Attributes:
        shapes: sizes by input name.
        dims: sizes by the name that the model has for them.
        auto_dims: guess the sizes that are not known.
        entries: what gives the values, by input name; the values of other inputs are random.
        samples: a file or directory of real inputs; None without. They go before `entries`.
        state: outputs that are fed into an input of the next request, each with that input. Its first value is zeros,
            unless there is an entry for it.
        generate: how much text a decoder generates; None means single requests.
        file: the file that says it; None without.
        seed: of random values.
    """

    shapes: Mapping[str, tuple[int, ...]]
    dims: Mapping[str, int]
    auto_dims: bool
    entries: Mapping[str, Entry]
    samples: Path | None
    file: Path | None
    seed: int
    state: Mapping[str, str]
    generate: Generate | None

    @classmethod
    def of(cls, model: Model, options: InputOptions) -> "InputDescription":
        """Bring together what the options and the file say, which is the one that the options name or the model's own.

        Raises:
            ModelError: the file is wrong; or options name an input that the model does not have, or exclude each other.
        """
        names = {tensor.name for tensor in model.inputs}
        for field, by_name in (("shapes", options.shapes), ("ranges", options.ranges)):
            if unknown := sorted(set(by_name) - names):
                raise ModelError(
                    f"`{field}` {unknown[0]}: model {model.name} takes {', '.join(map(str, model.inputs))}"
                )
        by_hand = options.shapes or options.ranges or options.dims or options.auto_dims
        if options.input is not None and by_hand:
            raise ModelError(
                "`input`: real inputs have their own shapes and values",
                fix="omit `shapes`, `dims` and `ranges`",
            )
        samples = options.input
        if samples is None and not by_hand and options.inputs_file is None:
            samples = model.samples_path
        file = options.inputs_file if options.inputs_file is not None else model.inputs_path
        said = inputs_file.read(file, model) if file is not None else InputsFile()
        shapes = {name: entry.shape for name, entry in said.inputs.items() if entry.shape is not None}
        fed = state.chosen(model, options.state or said.state)
        of_state = {name: Entry(value="zeros") for name in fed.values()}
        ranges = {name: Entry(range=bounds) for name, bounds in options.ranges.items()}
        return cls(
            shapes={**shapes, **options.shapes},
            dims={**said.dims, **options.dims},
            auto_dims=options.auto_dims,
            entries={**of_state, **said.inputs, **ranges},
            samples=samples,
            file=file,
            seed=options.seed,
            state=fed,
            generate=options.generate if options.generate is not None else said.generate,
        )
