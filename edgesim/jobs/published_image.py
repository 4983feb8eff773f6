"""A packed image in a registry as what a job runs: the image by its digest, and the model that is inside."""

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from edgesim.boards.launch import Launch
from edgesim.delivery.packed_image import MODELS_LABEL, PROFILE_LABEL
from edgesim.engine.context import resolve
from edgesim.engine.docker_engine import Engine
from edgesim.engine.labels import LABEL
from edgesim.errors import (
    EdgesimError,
    ImageUnavailable,
    ModelError,
    NotPublished,
    RegistryDenied,
    RegistryError,
    UsageError,
)
from edgesim.host.scratch import full_disk_is_told, scratch_directory
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import RunOptions
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages
from edgesim.registry.reference import Reference, parse_pinned
from edgesim.version import __version__

# Options that say how models get into a container, or what else is in its image.
_REFUSED = frozenset({"base_image", "grpc_port", "models", "mount", "protocol", "results", "runtime", "volume"})


@dataclass(frozen=True, kw_only=True)
class PublishedImage:
    """An image that the engine has pulled, and the model in it, which is on this host for the length of a block.

    Attributes:
        architecture: of the image.
    """

    reference: str
    architecture: str
    model: Model

    @property
    def repository(self) -> Path:
        """The model repository that was in the image."""
        return repository_of(self.model)

    def in_place_of_mounts(self, launch: Launch) -> Launch:
        """Return a launch of the image, wherever its architecture is that of the board."""
        images = {self.architecture: self.reference}
        return replace(launch, serving_images=images, models_inside=frozenset(images))


def is_chosen(model: object, options: RunOptions) -> bool:
    """Return whether a job is to run the image that the option `packed` names, and not a model.

    Raises:
        UsageError: the job has neither, or both.
    """
    packed = options.board.packed
    if (model is None) == (packed is None):
        problem = "`model`: give the model" if model is None else f"`packed={packed}`: has the model in its image"
        raise UsageError(problem, fix="give either a model or `packed`")
    return model is None


@contextmanager
def provided(profile: DeviceProfile, options: RunOptions, stages: Stages) -> Iterator[PublishedImage]:
    """Pull the image that the option `packed` names, and take its model out of it.

    Raises:
        UsageError: the option is no reference with a digest, another option excludes it, or the image is not one of
            edgesim's, or not for the board.
        ModelError: the model in the image is not the one that the image says.
        NotPublished: the registry has no such image; ImageUnavailable: the engine cannot pull the image.
        HostError: no engine answers, no space is left, or the registry refuses or does not answer.
    """
    board = options.board
    name = parse_pinned(board.packed or "", "packed")
    if board.engine == "local":
        raise UsageError("`packed`: needs a container, which `engine=local` does not have", fix="`engine=docker`")
    if profile.image.reference is not None:
        raise UsageError(f"`packed`: the profile has an image of its own, {profile.image.reference}")
    if refused := sorted(options.changed() & _REFUSED):
        raise UsageError(
            f"`{refused[0]}`: the image of `packed` already contains model and server", fix=f"omit `{refused[0]}`"
        )
    engine = Engine(resolve(board.context))
    architecture = pull(engine, name, profile, stages)
    with model_of(engine, name, profile.image.mount_point, stages) as model:
        labels = engine.images.facts(str(name))["Config"].get("Labels") or {}
        if labels.get(PROFILE_LABEL) != profile.reference:
            stages.note(f"the image was packed for {labels.get(PROFILE_LABEL)}, and runs as {profile.reference}")
        if labels.get(LABEL) != __version__:
            stages.note(f"the image has the server of edgesim {labels.get(LABEL)}; this is {__version__}")
        yield PublishedImage(reference=str(name), architecture=architecture, model=model)


@contextmanager
def model_of(engine: Engine, image: Reference, mount_point: str, stages: Stages) -> Iterator[Model]:
    """Take the model out of a packed image that the engine has; its files are removed when the block ends.

    Args:
        mount_point: the directory of the models in the image.

    Raises:
        UsageError: the image is not one of `edgesim pack`, or has several models.
        ModelError: the model is not the one that the image's label says.
    """
    digests = _models_label(engine, image)
    ((model_name, sha256),) = digests.items()
    with scratch_directory() as scratch:
        with stages.stage("extract", f"taking {model_name} out of the image"):
            _extract(engine, image, mount_point, Path(scratch))
        model = repository.find(model_name, Path(scratch) / Path(mount_point).name)
        if model.sha256 != sha256:
            raise ModelError(
                f"{image}: the model in it has SHA-256 {model.sha256[:12]}…, and its label says {sha256[:12]}…",
                fix="pack the model again: edgesim pack",
            )
        yield model


def repository_of(model: Model) -> Path:
    """Return the repository that a model is in, ``REPOSITORY/NAME/VERSION/model.onnx``."""
    return model.path.parents[2]


def pull(engine: Engine, name: Reference, profile: DeviceProfile, stages: Stages) -> str:
    """Pull an image by its digest unless the engine has it; return its architecture, which is the board's.

    Raises:
        NotPublished, RegistryError, ImageUnavailable: the engine cannot pull the image.
        UsageError: the image is for another architecture.
    """
    reference, architecture = str(name), profile.architecture
    if engine.images.id(reference) is None:
        with stages.stage("pull", f"pulling {name} for linux/{architecture}"):
            try:
                engine.images.pull(reference, platform=f"linux/{architecture}")
            except ImageUnavailable as error:
                raise _why_not_pulled(error, name) from error
    if not engine.images.provides(reference, architecture):
        raise UsageError(
            f"`packed={name}`: is for {engine.images.architecture(reference)}; the board {profile.name} is"
            f" {architecture}",
            fix=f"edgesim pack {profile.name} MODEL --push {name.name}:TAG",
        )
    return architecture


def _why_not_pulled(error: ImageUnavailable, name: Reference) -> EdgesimError:
    """Return the error for a pull that failed, as for a push: the engine's words tell only some reasons apart."""
    words, registry = error.problem.lower(), f"registry {name.registry}"
    if any(each in words for each in ("unauthorized", "denied", "no basic auth", "authentication required")):
        return RegistryDenied(
            f"{registry}: refuses {name.repository} to the engine", fix=f"docker login {name.registry}"
        )
    if "manifest unknown" in words or "not found" in words:
        return NotPublished(
            f"{registry}: has no {name.repository} with digest {name.digest}",
            fix="check the name and the digest: they are printed when something is pushed",
        )
    if "http response to https client" in words:
        return RegistryError(
            f"{registry}: answers without TLS",
            fix=f'if that is right, add "{name.registry}" to "insecure-registries" in /etc/docker/daemon.json, and'
            " restart Docker",
        )
    if any(each in words for each in ("connection refused", "no such host", "timeout", "x509", "eof", "reset by peer")):
        cause = error.problem.rpartition("cannot pull it: ")[2]
        return RegistryError(f"{registry}: the engine cannot pull {name.repository}: {cause}", fix=error.fix)
    return error


def _models_label(engine: Engine, image: Reference) -> Mapping[str, str]:
    text = engine.images.label(str(image), MODELS_LABEL)
    if text is None:
        raise UsageError(
            f"`packed={image}`: is not an image of edgesim pack",
            fix="for another server's image: a service of a stack, or image.reference in the profile",
        )
    try:
        digests = {str(name): str(digest) for name, digest in orjson.loads(text).items()}
    except (ValueError, AttributeError) as error:
        raise UsageError(f"`packed={image}`: its label {MODELS_LABEL} is not in edgesim's format") from error
    if len(digests) != 1 or any(repository.names_a_file(name) or Path(name).name != name for name in digests):
        raise UsageError(f"`packed={image}`: has not one model, but {len(digests)}, by its label {MODELS_LABEL}")
    return digests


def _extract(engine: Engine, image: Reference, mount_point: str, target: Path) -> None:
    """Unpack the models of an image, which may be a stranger's, as files below a directory."""
    try:
        with (
            full_disk_is_told(f"the model of {image}"),
            engine.file_transfer(image=str(image)) as transfer,
            tarfile.open(fileobj=transfer.get(mount_point), mode="r|") as tar,
        ):
            for member in tar:
                if member.isreg() or member.isdir():
                    tar.extract(member, target, set_attrs=False, filter="data")
    except tarfile.TarError as error:
        raise ModelError(f"{image}: {mount_point} in it cannot be read: {error}") from error
