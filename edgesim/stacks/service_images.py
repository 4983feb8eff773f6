"""Build or find the images of a stack's services, and fill the volumes with their models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesim.delivery import contents, volumes
from edgesim.delivery.deliver import model_mounts
from edgesim.engine import buildx
from edgesim.engine.docker_engine import Engine
from edgesim.engine.labels import LABEL
from edgesim.engine.mounts import VolumeMount
from edgesim.engine.parent_cgroup import ParentCgroup
from edgesim.errors import PackageUnknown, StackError, UsageError
from edgesim.host.emulator import host_architecture
from edgesim.images import python_packages, rootfs, runtime_releases, serving_image
from edgesim.images.build_once import to_build
from edgesim.images.runtime_releases import BOOKWORM, TRIXIE
from edgesim.progress import Stages
from edgesim.stacks.resolve import Resolved, ResolvedService, edgesim_image
from edgesim.version import __version__


def ensure(engine: Engine, resolved: Resolved, stages: Stages, *, base: str | None = None) -> None:
    """Make sure that the engine has all images and filled volumes that the stack's Compose file names.

    Args:
        base: the image that the serving image is built on.

    Raises:
        UsageError: an image is for another architecture, or a volume does not exist.
        HostError: something is missing on this host; DeviceError: a build failed, or an image is not available.
    """
    for name, external in resolved.stack.volumes.items():
        if external and engine.volumes.labels(name) is None:
            raise StackError(f"volume {name}: does not exist", fix="edgesim volumes list; edgesim volumes fill NAME")
    check_commands(resolved)
    if any(service.spec.engine for service in resolved.services.values()):
        _build_for_boards(engine, resolved, stages, base)
    for service in resolved.services.values():
        _ensure(engine, resolved, service, stages, base)
        _check_command(service, engine.images.facts(service.image)["Config"])


def _build_for_boards(engine: Engine, resolved: Resolved, stages: Stages, base: str | None) -> None:
    """Build the serving images with which edgesim in a service runs this board, emulated and scaled.

    A container lacks what builds fetch with: the index, mirror and certificates of this host's pip.
    """
    board = resolved.profile
    release = runtime_releases.of_board(board, None).release
    for architecture in sorted({board.architecture, host_architecture()}):
        serving_image.build(engine, board, stages, base_image=base, architecture=architecture, runtime=release)


def check_commands(resolved: Resolved) -> None:
    """Check, as far as it can be known without the images, that each service has a program to run.

    Raises:
        StackError: a service has none.
    """
    for service in resolved.services.values():
        if service.packages is not None:
            _check_command(service, {})


def _check_command(service: ResolvedService, image: Mapping[str, Any]) -> None:
    """Refuse a service without a program before anything is started: the engine's error does not name the service.

    Args:
        image: the image's own settings, with the keys of ``docker image inspect``.
    """
    spec = service.spec
    if spec.serves or spec.command or spec.entrypoint or image.get("Cmd") or image.get("Entrypoint"):
        return
    raise StackError(
        f"services.{service.name}.command: is missing, and the service's image names no program to run",
        fix="command: [PROGRAM, ARGUMENT]",
    )


def _ensure(engine: Engine, resolved: Resolved, service: ResolvedService, stages: Stages, base: str | None) -> None:
    spec, board = service.spec, resolved.profile
    if service.packages is not None:
        try:
            service.packages.build(engine, stages)
        except PackageUnknown as error:
            raise StackError(f"services.{service.name}.packages: {error.problem}", fix=error.fix) from error
    elif spec.build is not None:
        with to_build(engine, service.image, stages) as needed:
            if needed:
                _build(engine, service, stages)
            else:
                stages.note(f"image {service.image}: unchanged, nothing to build")
        _check_architecture(engine, resolved, service)
    elif spec.image is not None:
        try:
            machine = _machine(resolved, service)
            serving_image.pull_for(engine, spec.image, service.architecture, stages, machine=machine)
        except UsageError as error:
            raise StackError(f"services.{service.name}.image: {error.problem}", fix=error.fix) from error
    else:
        serving_image.build(
            engine, board, stages, base_image=base, architecture=service.architecture, runtime=service.runtime
        )
        _fill(engine, resolved, service, stages)


def _fill(engine: Engine, resolved: Resolved, service: ResolvedService, stages: Stages) -> None:
    if not any(isinstance(mount, VolumeMount) for mount in service.mounts):
        return
    mount_point = resolved.profile.image.mount_point
    mounts = [mount for each in service.models for mount in model_mounts(each, mount_point)]
    volumes.provide(engine, None, contents.of(mounts, mount_point), stages)


def _build(engine: Engine, service: ResolvedService, stages: Stages) -> None:
    recipe = service.spec.build
    assert recipe is not None, "only a service with a recipe is built"
    architecture, arguments = service.architecture, dict(recipe.args)
    contexts: dict[str, Path] = {}
    if recipe.base:
        with stages.stage("packages", f"unpacking {', '.join(recipe.base)} for linux/{architecture}"):
            contexts = {
                "base": rootfs.make(architecture, packages=recipe.base),
                "tools": rootfs.make(host_architecture()),
            }
    own = edgesim_image(service.name, recipe, architecture)
    if own is not None:
        arguments["EDGESIM"] = own.build(engine, stages).reference
    if recipe.requirements is not None:
        with stages.stage("python packages", f"fetching the Python packages of {service.name}"):
            contexts["packages"] = python_packages.fetch(
                architecture,
                (recipe.context / recipe.requirements).read_text(encoding="utf-8"),
                TRIXIE if own is not None else BOOKWORM,
                program=f"service {service.name}",
            )
    with stages.stage("build", f"building {service.name} from {recipe.context} for linux/{architecture}"):
        buildx.build(
            context=recipe.context,
            dockerfile=recipe.context / recipe.dockerfile,
            tag=service.image,
            platform=f"linux/{architecture}",
            build_contexts=contexts,
            build_args=arguments,
            labels={LABEL: __version__},
        )


def _check_architecture(engine: Engine, resolved: Resolved, service: ResolvedService) -> None:
    """Refuse an image for another architecture: a Dockerfile may name a platform itself."""
    architecture = engine.images.architecture(service.image)
    if architecture != service.architecture:
        raise StackError(
            f"services.{service.name}.build: the image is for {architecture}; {_machine(resolved, service)} is "
            f"{service.architecture}",
            fix="leave --platform out of its Dockerfile's last FROM",
        )


def _machine(resolved: Resolved, service: ResolvedService) -> str:
    """Return the machine that a service runs on, in words."""
    return "this host" if service.spec.beside else f"the board {resolved.profile.name}"


def helper(engine: Engine, resolved: Resolved, stages: Stages, *, base: str | None = None) -> str | None:
    """Return the image that makes the board's control group if this user may not; None if this user may."""
    if ParentCgroup.can_be_made_by_user(engine.facts):
        return None
    return serving_image.build(engine, resolved.profile, stages, base_image=base, architecture=host_architecture()).id
