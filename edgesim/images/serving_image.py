"""The serving image: its contents, its name, and when it has to be built."""

import hashlib
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePath

from edgesim import links_in_git, paths
from edgesim.engine import buildx
from edgesim.engine.docker_engine import Engine
from edgesim.errors import ImageUnavailable, ProfileError, UsageError
from edgesim.host.cache import make_public
from edgesim.images import image_sharing, python_packages, rootfs, runtime_releases
from edgesim.images.build_once import to_build
from edgesim.images.image import Image
from edgesim.images.recipe import Recipe, built
from edgesim.images.runtime_releases import BOOKWORM, RuntimeRelease
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages

DEFAULT_BASE = BOOKWORM.image


def build(
    engine: Engine,
    profile: DeviceProfile,
    stages: Stages,
    *,
    base_image: str | None = None,
    rebuild: bool = False,
    architecture: str | None = None,
    runtime: RuntimeRelease | None = None,
) -> Image:
    """Return the serving image for a profile, built unless the engine has an image of the same contents.

    Args:
        architecture: ``amd64`` or ``arm64``; None means the profile's.
        base_image: the image to build on; None means Debian's public image or, if no registry answers, an image made
            from Debian packages.
        rebuild: build even if the engine has the image, and without the engine's build cache.
        runtime: the release of ONNX Runtime in the image; None means edgesim's default.

    Raises:
        ProfileError: the profile's Dockerfile does not exist, or is outside of the profile's git repository.
        HostError: something is missing on this host; DeviceError: the build failed.
    """
    dockerfile = _dockerfile(profile)
    architecture = architecture if architecture is not None else profile.architecture
    qemu_cpu = _qemu_cpu(profile, architecture)
    runtime = runtime if runtime is not None else runtime_releases.default()
    reference = reference_of(profile, architecture=architecture, base_image=base_image, runtime=runtime)
    if not rebuild and (image := built(engine, reference, cached=True)) is not None:
        return image
    recipe = Recipe(
        reference=reference,
        title="the serving image",
        architecture=architecture,
        dockerfile=dockerfile,
        arguments=_without_none(
            BASE=base_image or runtime.debian.image, QEMU_CPU=qemu_cpu, PYTHON=runtime.debian.python
        ),
        make_stages=partial(_make_stages, architecture, base_image, runtime, builds_on=engine.facts.architecture),
        fill_context=_fill_context,
    )
    with to_build(engine, reference, stages, rebuild=rebuild) as needed:
        if needed:
            with image_sharing.to_build(engine, reference, architecture, stages) as nobody_has:
                if nobody_has:
                    recipe.build(engine, stages, use_cache=not rebuild)
    image = built(engine, reference, cached=not needed)
    assert image is not None, "buildx reported success"
    return image


def pull(engine: Engine, profile: DeviceProfile, stages: Stages) -> Image:
    """Return the image that a profile names, as `pull_for` does."""
    reference = profile.image.reference
    assert reference is not None, "the profile names an image"
    return pull_for(engine, reference, profile.architecture, stages, machine=f"the board {profile.name}")


def pull_for(engine: Engine, reference: str, architecture: str, stages: Stages, *, machine: str) -> Image:
    """Return the image of a name, pulled unless the engine has it.

    Args:
        machine: what has the architecture, for the error.

    Raises:
        UsageError: the image is for another architecture.
        DeviceError: the engine does not have the image, and cannot pull it.
    """
    image_id = engine.images.id(reference)
    if image_id is None:
        with stages.stage("pull", f"pulling {reference} for linux/{architecture}"):
            engine.images.pull(reference, platform=f"linux/{architecture}")
        image_id = engine.images.id(reference)
        assert image_id is not None, "the engine pulled the image"
    if not engine.images.provides(reference, architecture):
        raise UsageError(
            f"image {reference} is for {engine.images.architecture(reference)}; {machine} is {architecture}",
            fix=f"docker buildx build --platform linux/{architecture} builds an image for {machine}",
        )
    return Image(reference=reference, id=image_id, base=None, cached=True)


def existing(engine: Engine, reference: str) -> Image:
    """Return an image of edgesim's server that the engine has.

    Raises:
        ImageUnavailable: the engine does not have the image.
    """
    image = built(engine, reference, cached=True)
    if image is None:
        raise ImageUnavailable(f"the engine has no image {reference!r}", fix="docker images lists the images")
    return image


def reference_of(
    profile: DeviceProfile,
    *,
    architecture: str | None = None,
    base_image: str | None = None,
    runtime: RuntimeRelease | None = None,
) -> str:
    """Return the name of the image that `build` returns; the name changes with everything of edgesim's in the image.

    Raises:
        ProfileError: the profile's Dockerfile does not exist, or is outside of the profile's git repository.
    """
    dockerfile = _dockerfile(profile)
    architecture = architecture if architecture is not None else profile.architecture
    qemu_cpu = _qemu_cpu(profile, architecture)
    digest = hashlib.sha256()
    digest.update(dockerfile.name.encode() + b"\0" + dockerfile.read_bytes() + b"\0")
    for name in _server_files():
        digest.update(str(name).encode() + b"\0" + (paths.server_directory() / name).read_bytes() + b"\0")
    runtime = runtime if runtime is not None else runtime_releases.default()
    base = (base_image, runtime.debian, rootfs.PACKAGES, rootfs.LAYOUT)
    digest.update(repr((architecture, qemu_cpu, base, runtime.requirements)).encode())
    family = re.sub(r"[^a-z0-9]+", "-", dockerfile.name.partition(".")[2].lower()).strip("-") or "board"
    # The default release is not in the name: images from before it could be chosen keep theirs.
    version = None if runtime.is_default else f"ort{runtime.version}"
    target = "-".join(_without_none(a=architecture, b=qemu_cpu, c=version).values())
    return f"edgesim/{family}:{target}-{digest.hexdigest()[:12]}"


def _qemu_cpu(profile: DeviceProfile, architecture: str) -> str | None:
    emulation = profile.emulation if architecture == profile.architecture else None
    return emulation.qemu_cpu if emulation is not None else None


def is_own(dockerfile: str) -> bool:
    """Return whether `image.dockerfile` of a profile is the name of a Dockerfile that comes with edgesim."""
    return PurePath(dockerfile).name == dockerfile and paths.dockerfile(dockerfile).is_file()


def _dockerfile(profile: DeviceProfile) -> Path:
    name = profile.image.dockerfile
    assert name is not None, "the serving image is built from a Dockerfile"
    if is_own(name):
        return paths.dockerfile(name)
    problem = f"profile {profile.name}: image.dockerfile"
    if profile.file is None:
        raise ProfileError(f"{problem}: no file {name!r} comes with edgesim")
    path = profile.file.parent / name
    # A failed build quotes the file, in the log of a pipeline, too.
    if links_in_git.lead_out(profile.file, path):
        raise ProfileError(
            f"{problem}: {name!r} is outside of the profile's git repository; edgesim does not read it",
            fix="copy the Dockerfile into the repository",
        )
    if not path.is_file():
        raise ProfileError(f"{problem}: no file {path}")
    return path


def _server_files() -> list[Path]:
    """Return the server's files in the image, subpackages included, relative to its directory."""
    directory = paths.server_directory()
    return sorted(
        path.relative_to(directory) for path in (*directory.rglob("*.py"), *directory.glob("requirements*.txt"))
    )


def _without_none(**arguments: str | None) -> dict[str, str]:
    return {name: value for name, value in arguments.items() if value is not None}


def _make_stages(
    architecture: str, base_image: str | None, runtime: RuntimeRelease, *, builds_on: str
) -> tuple[dict[str, Path], str]:
    """Return the stages of the Dockerfile that are made beforehand, and the base for the image's label.

    Args:
        builds_on: architecture of the machine that builds.
    """
    with ThreadPoolExecutor() as pool:
        debian = runtime.debian
        packages = pool.submit(python_packages.fetch, architecture, runtime.requirements, debian)
        if base_image is not None:
            return {"packages": packages.result()}, base_image
        if buildx.registry_has(debian.image):
            return {"packages": packages.result()}, debian.image
        tools = pool.submit(rootfs.make, builds_on, suite=debian.suite)
        base_directory = rootfs.make(architecture, suite=debian.suite)
        contexts = {"packages": packages.result(), "base": base_directory, "tools": tools.result()}
        return contexts, f"Debian {debian.suite} packages"


def _fill_context(context: Path) -> None:
    """Lay the build context out as a checkout is, so that one Dockerfile serves both."""
    target = context / "edgesim" / "server"
    for name in _server_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(paths.server_directory() / name, target / name)
    make_public(context)
