"""Pack a model for a board: profile + model → serving image → image with the model inside → engine or archive."""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from edgesim import profiles
from edgesim.boards import servable
from edgesim.boards.server_command import packed_command
from edgesim.delivery import contents, packed_image, publish
from edgesim.delivery.annotations import of_model
from edgesim.delivery.deliver import model_mounts
from edgesim.engine import docker_engine, registry_access
from edgesim.engine.context import resolve
from edgesim.engine.images import require_valid_name
from edgesim.errors import DISK_FULL, DiskFull, ResultError, UsageError, of_limit
from edgesim.host.scratch import scratch_file
from edgesim.images import runtime_releases, serving_image
from edgesim.models import custom_libraries, repository
from edgesim.models.repository import Model
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages
from edgesim.registry import reference
from edgesim.registry.reference import Reference
from edgesim.registry.repository import Repository


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A packed image.

    Attributes:
        id: digest of the image's configuration, by which engines know the image.
        digest: digest of the image's manifest, by which registries know the image.
        size_bytes: size of the image's files.
        saved: the archive that the image was written to; None if it was not.
        published: ``REGISTRY/NAME@sha256:…``, by which the registry has the image; None if it was not pushed.
        annotations: of the image in the registry, by the OCI's names.
    """

    reference: str
    id: str
    digest: str
    platform: str
    size_bytes: int
    labels: dict[str, str]
    saved: Path | None
    published: str | None = None
    annotations: dict[str, str] = field(default_factory=dict)


def pack(
    profile_reference: str | Path | DeviceProfile,
    model_reference: str | Path | Model,
    *,
    models: str | Path | None = None,
    name: str | None = None,
    save: str | Path | None = None,
    push: str | None = None,
    annotations: Mapping[str, str] | None = None,
    base_image: str | None = None,
    runtime: str | None = None,
    context: str | None = None,
    listener: Listener | None = None,
) -> Packed:
    """Build an image for a board with a model inside, which runs without mounts.

    The same profile, model and edgesim version give the same image.

    Args:
        models: the model repository; ``models/`` and then the sample models without.
        name: name of the image; None means that of `push`, else a name derived from its contents.
        save: also write the image to this file as an OCI archive, which ``docker load`` takes.
        push: also push the image to a registry under this name, ``REGISTRY/NAME:TAG``, with the account of
            ``docker login``.
        annotations: of the image in the registry, in addition to those that `edgesim.delivery.annotations` knows.
        base_image: the image that the serving image is built on.
        runtime: the release of ONNX Runtime in the image, such as ``1.16.3``; None means the board's own, else
            edgesim's default.
        context: docker context or URL of the engine that gets the image; None means the current context.

    Raises:
        UsageError: profile, model, name or context are wrong.
        ModelError: the server would refuse the model's configuration, or the board's processor the model.
        ResultError: the archive cannot be written.
        RegistryError: the registry refuses the image, breaks off, or does not answer.
        HostError: this host cannot do it; DeviceError: the image could not be built or loaded.
    """
    if name is not None:
        require_valid_name(name)
    save = Path(save) if save is not None else None
    target = reference.parse_tagged(push, "push") if push is not None else None
    if annotations and target is None:
        raise UsageError("`annotations`: are for an image that is pushed", fix="also give `push`")
    stages, board = Stages(listener), profiles.load(profile_reference, model=model_reference)
    if target is not None:
        with stages.stage("registry", f"asking {target.registry}"), _repository(target, context) as opened:
            opened.require_writable()
    with stages.stage("model", "reading the model"):
        model = model_reference if isinstance(model_reference, Model) else repository.find(str(model_reference), models)
    noted = of_model(model, annotations or {}) if target is not None else {}
    if board.image.reference is None:
        servable.require(model, architecture=board.architecture, board_cores=board.cpu.cores)
    if runtime is not None and board.image.reference is not None:
        raise UsageError(f"`runtime={runtime}`: image {board.image.reference} has its own")
    chosen = runtime_releases.of_board(board, runtime)
    release = runtime_releases.with_extras(chosen.release, custom_libraries.packages(model))
    engine = docker_engine.Engine(resolve(context))
    if board.image.reference is None:
        built = serving_image.build(engine, board, stages, base_image=base_image, runtime=release)
    else:
        built = serving_image.pull(engine, board, stages)
    mount_point = board.image.mount_point
    package = packed_image.Package(
        base=built,
        profile=board,
        models=[model],
        contents=contents.of(model_mounts(model, mount_point), mount_point),
        command=packed_command(board, [model.name]),
        annotations=noted,
    )
    image = name if name is not None else str(target) if target is not None else package.reference
    published = None
    with ExitStack() as stack:
        with stages.stage("pack", f"packing {image} for linux/{board.architecture}"):
            writing = packed_image.written(engine, package, image, keep_layers=target is not None)
            path, archive = stack.enter_context(writing)
            loaded = engine.images.load(path, image)
            if save is not None:
                _save(path, save)
        if target is not None:
            with stages.stage("push", f"pushing {target}"), _repository(target, context) as opened:
                published = str(target.at(publish.push(opened, archive, target.tag)))
    return Packed(
        reference=image,
        id=loaded,
        digest=archive.digest,
        platform=f"linux/{board.architecture}",
        size_bytes=sum(layer.size_bytes for layer in archive.layers),
        labels=package.labels,
        saved=save,
        published=published,
        annotations=noted,
    )


def _repository(name: Reference, context: str | None) -> Repository:
    return Repository(registry_access.of(name.registry, context), name.repository)


def _save(archive: Path, target: Path) -> None:
    """Write the archive completely, or not at all."""
    scratch = scratch_file(target)
    try:
        shutil.copyfile(archive, scratch)
        scratch.replace(target)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DiskFull(
                f"no space left for {target}", fix=f"free some space there: df -h {target.parent}"
            ) from error
        problem = f"{target}: cannot write: {error.strerror}"
        raise of_limit(error, problem) or ResultError(problem) from error
    finally:
        scratch.unlink(missing_ok=True)
