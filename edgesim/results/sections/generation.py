"""The generation of text: the time to the first token, and of each further one while the cache grows."""

from pydantic import Field

from edgesim.results.sections.base import Section
from edgesim.results.sections.measured import Distribution


class PredictedStepSection(Section):
    """The predicted device time of one step of a generation, in milliseconds, and its 80 % band.

    Attributes:
        token: the number of the token that the step gives, from 1 on.
        cached: number of tokens in the cache when the step begins.
    """

    token: int
    cached: int
    p50: float
    low: float
    high: float


class PredictedGenerationSection(Section):
    """The predicted device times of a generation, without the server and its connection.

    Attributes:
        time_to_first_token_ms: of the prompt.
        first_ms, mean_ms, last_ms: of the first further token, of the one in the middle, whose cache has the mean
            length, and of the last one; None where the prompt's token is the only one.
        tokens_per_second: by the step in the middle, with the ends of its band.
    """

    time_to_first_token_ms: PredictedStepSection
    first_ms: PredictedStepSection | None = None
    mean_ms: PredictedStepSection | None = None
    last_ms: PredictedStepSection | None = None
    tokens_per_second: float | None = None
    tokens_per_second_low: float | None = None
    tokens_per_second_high: float | None = None


class GenerationSection(Section):
    """The generation of text by a decoder with a cache, as a client of the server sees it.

    Each token takes a request, in which the cache goes to the server and back. What the client does between two
    requests (the choice of the token with the highest score, the making of the next request) is in no time.

    Attributes:
        prompt_tokens: tokens of the prompt, all in one request.
        new_tokens: tokens that each generation gives.
        generations: how many of them were complete.
        time_to_first_token_ms: times of the requests with the prompt.
        inter_token_ms: times of the requests for each further token.
        tokens_per_second: tokens after the first one, by the mean of `inter_token_ms`.
        first_inter_token_ms, last_inter_token_ms: medians of the first and of the last further token: how much a longer
            cache costs.
        cache: the outputs of the cache, each with the input that it is fed into.
        cache_bytes: size of the cache after the last token.
        cache_bytes_per_token: how much of that each token adds.
        predicted: None where no device time is predicted.
    """

    prompt_tokens: int
    new_tokens: int
    generations: int
    time_to_first_token_ms: Distribution = Distribution()
    inter_token_ms: Distribution = Distribution()
    tokens_per_second: float | None = None
    first_inter_token_ms: float | None = None
    last_inter_token_ms: float | None = None
    cache: dict[str, str] = Field(default={})
    cache_bytes: int | None = None
    cache_bytes_per_token: int | None = None
    predicted: PredictedGenerationSection | None = None
