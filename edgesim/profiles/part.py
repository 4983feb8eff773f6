"""What all parts of a profile are: frozen models that refuse unknown keys, and sizes."""

from typing import Annotated

from pydantic import BaseModel, ByteSize, ConfigDict, Field, WithJsonSchema


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# "3.9 GiB", "104 MB" or a number of bytes.
Size = Annotated[
    ByteSize, Field(ge=1, le=2**60), WithJsonSchema({"type": ["string", "integer"], "examples": ["3.9 GiB"]})
]
