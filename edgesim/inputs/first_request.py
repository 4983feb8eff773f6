"""The inputs of the request that a run sends first: their sizes at once, their arrays when somebody needs them."""

from collections.abc import Mapping, Sequence

from edgesim.errors import ModelError
from edgesim.inputs.choice import choose
from edgesim.inputs.description import InputDescription
from edgesim.inputs.inputs import Arrays, Inputs
from edgesim.inputs.maker import RequestMaker
from edgesim.models.repository import Model
from edgesim.options import InputOptions


class FirstRequest:
    """The inputs of the first request, for a prediction: mostly their sizes are enough.

    Args:
        shapes: sizes by input name, in addition to those of the options; they may contradict the model's, to ask for
            another resolution.
        batch: the first size of every input where the model leaves that size open or has 1.

    Attributes:
        shapes: sizes by input name.
        guessed: the sizes that were guessed, in words; empty without.

    Raises:
        ModelError: sizes are unknown; the options do not fit the model, or a file that they name does not.
    """

    def __init__(
        self,
        model: Model,
        *,
        shapes: Mapping[str, Sequence[int]] | None = None,
        batch: int = 1,
        options: InputOptions | None = None,
    ) -> None:
        self._model, options = model, options if options is not None else InputOptions()
        if shapes:
            given = {name: tuple(sizes) for name, sizes in shapes.items()}
            options = InputOptions(**(dict(options) | {"shapes": {**options.shapes, **given}}))
        self._options = options
        self._real: Inputs | None = None
        self.guessed = ""
        if options.input is not None:
            self._real = choose(model, options)
            self.shapes = {name: array.shape for name, array in self._real.requests[0].items()}
        else:
            self._maker = RequestMaker(model, InputDescription.of(model, options), batch=batch, resize=True)
            self.shapes = self._maker.shapes(0)
            self.guessed = self._maker.guessed_words
        if batch > 1 and not any(batch in self.shapes[tensor.name][:1] for tensor in model.inputs):
            raise ModelError(
                f"`batch={batch}`: model {model.name} has no input with such a first size:"
                f" {', '.join(map(str, model.inputs))}",
                fix="omit `batch`; `shapes` asks for other sizes",
            )

    def arrays(self) -> tuple[Arrays, str]:
        """Return the arrays, and where they come from, in a few words: the model's own samples where they fit.

        Raises:
            ModelError: this host has not the memory for the arrays.
        """
        if self._real is None and self._model.samples_path is not None:
            samples = choose(self._model, self._options)
            if all(samples.requests[0][name].shape == shape for name, shape in self.shapes.items()):
                return samples.requests[0], samples.origin
        if self._real is not None:
            return self._real.requests[0], self._real.origin
        made = self._maker.first()
        return made, f"random inputs, seed {self._options.seed}" if self._maker.is_random else self._maker.origin
