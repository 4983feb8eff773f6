"""Sequences of requests, each made of the answer before: a state that is fed, or the generation of tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.inputs.inputs import Arrays
from edgesim.models import state
from edgesim.models.decoder import Decoder

Outputs = Mapping[str, NDArray[np.generic]]


class RequestSequence(Protocol):
    """Requests of which each takes something of the answer before; the first one has values of its own."""

    @property
    def steps(self) -> int:
        """The number of requests, after which the sequence begins anew."""

    @property
    def fed(self) -> Mapping[str, str]:
        """The outputs that are fed into the next request, each with its input."""

    @property
    def is_whole(self) -> bool:
        """Whether a load ends with a whole sequence, and not in its middle."""

    def first(self) -> Arrays:
        """Return the inputs of the first request, step 0."""

    def following(self, step: int, before: Arrays, outputs: Outputs, choice: Outputs | None = None) -> Arrays:
        """Return the inputs of a later step.

        Args:
            step: from 1 on.
            before: the inputs of the step before.
            outputs: the answer to it.
            choice: the answer that the next token is chosen from; None means `outputs`.
        """

    def tokens_of(self, outputs: Outputs) -> NDArray[np.int64] | None:
        """Return the tokens that an answer chooses; None unless tokens are generated."""


@dataclass(frozen=True)
class StateSequence:
    """Requests whose state comes from the answer before.

    Attributes:
        requests: inputs by step, in turn; those of step 0 have the first value of the state.
        fed: outputs, each with the input that it is fed into.
        steps: requests until the state has its first value again.
    """

    requests: tuple[Arrays, ...]
    fed: Mapping[str, str]
    steps: int
    is_whole: bool = False

    def first(self) -> Arrays:
        return self.requests[0]

    def following(self, step: int, before: Arrays, outputs: Outputs, choice: Outputs | None = None) -> Arrays:
        own = self.requests[step % len(self.requests)]
        return {**own, **{name: outputs[output] for output, name in self.fed.items()}}

    def tokens_of(self, outputs: Outputs) -> NDArray[np.int64] | None:
        return None

    def __str__(self) -> str:
        return f"state {state.words(self.fed)}, anew every {self.steps} requests"


@dataclass(frozen=True)
class GenerationSequence:
    """A prompt in one request, then a token a request: the cache, the mask and the positions grow along.

    Attributes:
        prompt: token ids, shape (batch, tokens).
        tokens: number of tokens that are generated: one by each request.
        others: inputs that stay the same.
        shapes: sizes of the cache by input name, where the user gave them.
    """

    decoder: Decoder
    prompt: NDArray[np.generic]
    tokens: int
    others: Arrays = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    is_whole: bool = True

    @property
    def steps(self) -> int:
        return self.tokens

    @property
    def fed(self) -> Mapping[str, str]:
        return self.decoder.cache

    @property
    def prompt_tokens(self) -> int:
        return int(self.prompt.shape[1])

    def first(self) -> Arrays:
        cache = self.decoder.empty_cache(self.shapes)
        return {**self.others, **self.decoder.request(self.prompt, 0, cache)}

    def following(self, step: int, before: Arrays, outputs: Outputs, choice: Outputs | None = None) -> Arrays:
        tokens = self.decoder.choice(choice if choice is not None else outputs)
        cache = {name: _kept(outputs[output], before[name]) for output, name in self.decoder.cache.items()}
        return {**self.others, **self.decoder.request(tokens, self.cached(step), cache)}

    def tokens_of(self, outputs: Outputs) -> NDArray[np.int64] | None:
        return self.decoder.choice(outputs)

    def cached(self, step: int) -> int:
        """Return how many tokens the cache holds when a step begins."""
        return self.prompt_tokens + step - 1 if step else 0

    def with_cache(self, length: int) -> Arrays:
        """Return the inputs of a step that finds `length` tokens in the cache, all zeros."""
        cache = self.decoder.empty_cache(self.shapes, length)
        return {**self.others, **self.decoder.request(self.prompt[:, :1], length, cache)}

    def cache_bytes_at(self, length: int) -> int:
        """Return the size of a cache that holds `length` tokens."""
        return sum(array.nbytes for array in self.decoder.empty_cache(self.shapes, length).values())

    def __str__(self) -> str:
        return f"prompt of {self.prompt_tokens} tokens, then {self.tokens} generated: {state.words(self.fed, most=1)}"


def _kept(output: NDArray[np.generic], before: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the next value of a cache: the output, or the present value where a branch leaves the output empty.

    Merged decoders with an encoder compute the encoder's keys and values once, beside the prompt.
    """
    return before if not output.size and before.size else output
