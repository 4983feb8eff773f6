"""What serves the models on a board."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgesim.profiles.part import Part

SERVER_PORT = 8000  # edgesim's own server listens on this port inside its container
GRPC_PORT = 8001  # and on this one for gRPC, if it has gRPC


class Image(Part):
    """The serving image: edgesim's own server, built from a Dockerfile, or any image that speaks the protocol.

    Attributes:
        dockerfile: name of a Dockerfile that comes with edgesim, or a path relative to the profile.
        reference: an image that the engine has or can pull.
        port: where the server of `reference` listens.
        grpc_port: where the server of `reference` answers gRPC, with the option `protocol=grpc`.
        health_path: answers 200 when the server of `reference` is ready.
        mount_point: where the server of `reference` looks for the model repository.
        environment: variables that are set in the container. A process of this host (``engine=local``) gets only those
            for threads.
        gpus: ``all`` gives the container the GPUs of the engine's machine, which a run on the board itself needs for
            them.
    """

    dockerfile: str | None = None
    reference: Annotated[str, Field(pattern=r"^[a-z0-9][\w.:/@-]*$")] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = SERVER_PORT
    grpc_port: Annotated[int, Field(ge=1, le=65535)] = GRPC_PORT
    health_path: Annotated[str, Field(pattern=r"^/\S*$")] = "/v2/health/ready"
    mount_point: Annotated[str, Field(pattern=r"^/\S*[^/\s]$")] = "/models"
    environment: dict[str, str] = Field(default_factory=dict)
    gpus: Literal["all"] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "Image":
        if (self.dockerfile is None) == (self.reference is None):
            raise ValueError("image: give either image.dockerfile or image.reference")
        if self.reference is None:
            own = [
                name for name in ("port", "grpc_port", "health_path", "mount_point") if name in self.model_fields_set
            ]
            if own:
                raise ValueError(f"image.{own[0]}: is for image.reference; edgesim's own server has a fixed one")
        return self
