"""The body of a request or of an answer, in the protocol's binary form or as JSON."""

from dataclasses import dataclass

# The header with the length of the JSON part.
JSON_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Payload:
    """The body of a request or an answer.

    Attributes:
        json_length: bytes of the JSON part, which tensors in binary form follow; None if all of the body is JSON.
    """

    content: bytes
    json_length: int | None = None


EMPTY = Payload(b"")
