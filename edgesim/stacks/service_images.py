"""What a stack's services are made from, made: images, and the volumes that models are in."""

from edgesim import __version__
from edgesim.delivery import contents, volumes
from edgesim.delivery.deliver import model_mounts
from edgesim.engine import buildx
from edgesim.engine.docker_engine import LABEL, Engine
from edgesim.engine.mounts import VolumeMount
from edgesim.engine.parent_cgroup import Parent
from edgesim.errors import PackageUnknown, StackError, UsageError
from edgesim.host.emulator import host_architecture
from edgesim.images import rootfs, serving_image
from edgesim.progress import Stages
from edgesim.stacks.resolve import Part, Resolved


def ensure(engine: Engine, resolved: Resolved, stages: Stages, *, base: str | None = None) -> None:
    """Have all images and filled volumes that the stack's Compose file names.

    Args:
        base: the image that the serving image is built on.

    Raises:
        UsageError: an image is for another architecture, or a volume is not there.
        HostError: something is missing on this host; DeviceError: a build failed, or an image cannot be had.
    """
    for name, external in resolved.stack.volumes.items():
        if external and engine.volume_labels(name) is None:
            raise StackError(f"volume {name}: there is none", fix="edgesim volumes list; edgesim volumes fill NAME")
    for part in resolved.parts.values():
        _ensure(engine, resolved, part, stages, base)


def _ensure(engine: Engine, resolved: Resolved, part: Part, stages: Stages, base: str | None) -> None:
    service, board = part.service, resolved.profile
    if part.packages is not None:
        try:
            part.packages.ensure(engine, stages)
        except PackageUnknown as error:
            raise StackError(f"services.{part.name}.packages: {error.problem}", fix=error.fix) from error
    elif service.build is not None:
        _build(resolved, part, stages)
        _check_architecture(engine, resolved, part)
    elif service.image is not None:
        try:
            serving_image.find(engine, board.served_by(reference=service.image), stages)
        except UsageError as error:
            raise StackError(f"services.{part.name}.image: {error.problem}", fix=error.fix) from error
    else:
        serving_image.ensure(engine, board, stages, base=base)
        _fill(engine, resolved, part, stages)


def _fill(engine: Engine, resolved: Resolved, part: Part, stages: Stages) -> None:
    if not any(isinstance(mount, VolumeMount) for mount in part.mounts):
        return
    mount_point = resolved.profile.image.mount_point
    mounts = [mount for each in part.models for mount in model_mounts(each, mount_point)]
    volumes.provide(engine, None, contents.of(mounts, mount_point), stages)


def _build(resolved: Resolved, part: Part, stages: Stages) -> None:
    recipe = part.service.build
    assert recipe is not None, "only a service that has one is built"
    architecture = resolved.profile.architecture
    contexts = {}
    if recipe.base:
        with stages.stage("packages", f"unpacking {', '.join(recipe.base)} for linux/{architecture}"):
            contexts = {
                "base": rootfs.ensure(architecture, packages=recipe.base),
                "tools": rootfs.ensure(host_architecture()),
            }
    with stages.stage("build", f"building {part.name} from {recipe.context} for linux/{architecture}"):
        buildx.build(
            context=recipe.context,
            dockerfile=recipe.context / recipe.dockerfile,
            tag=part.image,
            platform=f"linux/{architecture}",
            build_contexts=contexts,
            build_args=recipe.args,
            labels={LABEL: __version__},
        )


def _check_architecture(engine: Engine, resolved: Resolved, part: Part) -> None:
    """A Dockerfile may name the platform itself, and so another one."""
    made = engine.image_architecture(part.image)
    if made != resolved.profile.architecture:
        raise StackError(
            f"services.{part.name}.build: the image is for {made}; the board {resolved.profile.name} is "
            f"{resolved.profile.architecture}",
            fix="leave --platform out of its Dockerfile's last FROM",
        )


def helper(engine: Engine, resolved: Resolved, stages: Stages, *, base: str | None = None) -> str | None:
    """The image that makes the board's control group where this user may not; None where this user may."""
    if Parent.is_ours_to_make(engine.facts):
        return None
    return serving_image.ensure(engine, resolved.profile, stages, base=base, architecture=host_architecture()).id
