"""The flags of an image with another server than edgesim's own."""

from dataclasses import dataclass
from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli._app import IMAGE
from edgesim.cli._flag_groups import Function, takes
from edgesim.cli._values import named_values
from edgesim.errors import UsageError
from edgesim.profiles import DeviceProfile


class ServerImageFlags:
    """An image of any server of the Open Inference Protocol, and how it differs from edgesim's."""

    image: Annotated[
        str | None,
        typer.Option(
            "--image",
            metavar="IMAGE",
            help="Serve with this image; its server must speak the Open Inference Protocol (V2).",
            rich_help_panel=IMAGE,
        ),
    ] = None
    image_port: Annotated[
        int | None,
        typer.Option(
            "--image-port",
            metavar="N",
            help="Port that the image's server listens on [default: 8000].",
            rich_help_panel=IMAGE,
        ),
    ] = None
    image_grpc_port: Annotated[
        int | None,
        typer.Option(
            "--image-grpc-port",
            metavar="N",
            help="Port where the image's server answers gRPC, for --protocol grpc [default: 8001].",
            rich_help_panel=IMAGE,
        ),
    ] = None
    image_health: Annotated[
        str | None,
        typer.Option(
            "--image-health",
            metavar="PATH",
            help="Path that answers 200 when the server is ready [default: /v2/health/ready].",
            rich_help_panel=IMAGE,
        ),
    ] = None
    image_models: Annotated[
        str | None,
        typer.Option(
            "--image-models",
            metavar="DIR",
            help="Directory where the server looks for its models [default: /models].",
            rich_help_panel=IMAGE,
        ),
    ] = None
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME=VALUE",
            help="Set this variable in the container; may be repeated.",
            rich_help_panel=IMAGE,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ServerImage:
    """The values of `ServerImageFlags`."""

    image: str | None
    image_port: int | None
    image_grpc_port: int | None
    image_health: str | None
    image_models: str | None
    env: list[str] | None

    def profile(self, reference: str, *, model: str | None = None) -> DeviceProfile:
        """Return the profile that the command line names, with this image if one is given.

        Args:
            model: the model that the command line names beside the profile.

        Raises:
            ProfileError: no such profile.
            UsageError: an option describes another image, and there is none; or a variable is not NAME=VALUE.
        """
        profile = profiles.load(reference, model=model)
        about = {
            "port": self.image_port,
            "grpc-port": self.image_grpc_port,
            "health": self.image_health,
            "models": self.image_models,
        }
        for option, value in about.items():
            if value is not None and self.image is None and profile.image.reference is None:
                raise UsageError(f"--image-{option}: needs an image other than edgesim's own", fix="also give --image")
        return profile.served_by(
            reference=self.image,
            port=self.image_port,
            grpc_port=self.image_grpc_port,
            health_path=self.image_health,
            mount_point=self.image_models,
            environment=named_values(self.env, "--env") or None,
        )


def takes_server_image(function: Function) -> Function:
    """Give a command the flags of an image; the command receives a `ServerImage` as `server_image`."""
    return takes("server_image", ServerImage, ServerImageFlags)(function)
