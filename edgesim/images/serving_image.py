"""The serving image: what goes into it, its name, and when it has to be built."""

import hashlib
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgesim import __version__, paths
from edgesim.engine import buildx
from edgesim.engine.docker_engine import LABEL, Engine
from edgesim.errors import ProfileError, UsageError
from edgesim.images import python_packages, rootfs
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages

DEFAULT_BASE = "debian:bookworm-slim"
BASE_LABEL = "edgesim.base"


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that the engine has.

    `base` says what it was made on, None where edgesim did not make it; `cached` that nothing had to be built.
    """

    reference: str
    id: str
    base: str | None
    cached: bool


def ensure(
    engine: Engine,
    profile: DeviceProfile,
    stages: Stages,
    *,
    base: str | None = None,
    rebuild: bool = False,
    architecture: str | None = None,
) -> Image:
    """The image that serves models on `profile`'s architecture, built unless one of the same content is there.

    Args:
        architecture: another one than the profile's, ``amd64`` or ``arm64``.
        base: the image to build on; None is Debian's public one or, where no registry answers, one made from Debian
            packages.
        rebuild: build even so, and without the engine's build cache.

    Raises:
        ProfileError: the profile's Dockerfile is not there.
        HostError: something is missing on this host; DeviceError: the build failed.
    """
    recipe = _dockerfile(profile)
    architecture = architecture if architecture is not None else profile.architecture
    qemu_cpu = _qemu_cpu(profile, architecture)
    reference = reference_of(profile, architecture=architecture, base=base)
    image_id = engine.image_id(reference)
    if image_id is not None and not rebuild:
        return Image(
            reference=reference, id=image_id, base=engine.image_label(reference, BASE_LABEL) or "", cached=True
        )

    with stages.stage("base and packages", "fetching the image's base and its Python packages"):
        contexts, chosen = _build_contexts(architecture, base, builds_on=engine.facts.architecture)
    with (
        stages.stage("build", f"building {reference} for linux/{architecture}"),
        tempfile.TemporaryDirectory(prefix="edgesim-") as scratch,
    ):
        context = Path(scratch)
        _fill_context(context)
        buildx.build(
            context=context,
            dockerfile=recipe,
            tag=reference,
            platform=f"linux/{architecture}",
            build_contexts=contexts,
            build_args=_given(BASE=base, QEMU_CPU=qemu_cpu),
            labels={LABEL: __version__, BASE_LABEL: chosen},
            use_cache=not rebuild,
            where=engine.context,
        )
    built = engine.image_id(reference)
    assert built is not None, "buildx reported success"
    return Image(reference=reference, id=built, base=chosen, cached=False)


def find(engine: Engine, profile: DeviceProfile, stages: Stages) -> Image:
    """The image that `profile` names, pulled where the engine has not got it.

    Raises:
        UsageError: it is for another architecture than the board's.
        DeviceError: the engine has none of that name, and cannot get it.
    """
    reference = profile.image.reference
    assert reference is not None, "find is for images that are not edgesim's own"
    image_id = engine.image_id(reference)
    if image_id is None:
        with stages.stage("pull", f"pulling {reference} for linux/{profile.architecture}"):
            engine.pull(reference, platform=f"linux/{profile.architecture}")
        image_id = engine.image_id(reference)
        assert image_id is not None, "it was pulled"
    architecture = engine.image_architecture(reference)
    if architecture != profile.architecture:
        raise UsageError(
            f"image {reference} is for {architecture}; the board {profile.name} is {profile.architecture}",
            fix=f"docker buildx build --platform linux/{profile.architecture} makes one for it",
        )
    return Image(reference=reference, id=image_id, base=None, cached=True)


def _qemu_cpu(profile: DeviceProfile, architecture: str) -> str | None:
    emulation = profile.emulation if architecture == profile.architecture else None
    return emulation.qemu_cpu if emulation is not None else None


def _dockerfile(profile: DeviceProfile) -> Path:
    assert profile.image.dockerfile is not None, "ensure builds from a Dockerfile"
    path = paths.dockerfile(profile.image.dockerfile)
    if not path.is_file():
        raise ProfileError(f"profile {profile.name}: image.dockerfile: no file {profile.image.dockerfile!r}")
    return path


def _server_files() -> list[Path]:
    """Return the server's files in the image, subpackages included, relative to its directory."""
    directory = paths.server_directory()
    files = [*directory.rglob("*.py"), python_packages.requirements_file()]
    return sorted(path.relative_to(directory) for path in files)


def _given(**arguments: str | None) -> dict[str, str]:
    return {name: value for name, value in arguments.items() if value is not None}


def reference_of(profile: DeviceProfile, *, architecture: str | None = None, base: str | None = None) -> str:
    """The name of the image that `ensure` gives: it changes with everything of ours that goes into the image.

    Raises:
        ProfileError: the profile's Dockerfile is not there.
    """
    recipe = _dockerfile(profile)
    architecture = architecture if architecture is not None else profile.architecture
    qemu_cpu = _qemu_cpu(profile, architecture)
    digest = hashlib.sha256()
    digest.update(recipe.name.encode() + b"\0" + recipe.read_bytes() + b"\0")
    for name in _server_files():
        digest.update(str(name).encode() + b"\0" + (paths.server_directory() / name).read_bytes() + b"\0")
    digest.update(repr((architecture, qemu_cpu, base, rootfs.SUITE, rootfs.PACKAGES, rootfs.LAYOUT)).encode())
    family = recipe.name.partition(".")[2] or "board"
    return f"edgesim/{family}:{'-'.join(_given(a=architecture, b=qemu_cpu).values())}-{digest.hexdigest()[:12]}"


def _build_contexts(architecture: str, base: str | None, *, builds_on: str) -> tuple[dict[str, Path], str]:
    """The stages of the Dockerfile that are handed in ready-made, and what the base is, for the image's label."""
    with ThreadPoolExecutor() as pool:
        fetched = pool.submit(python_packages.ensure, architecture)
        if base is not None:
            return {"packages": fetched.result()}, base
        if buildx.registry_has(DEFAULT_BASE):
            return {"packages": fetched.result()}, DEFAULT_BASE
        tools = pool.submit(rootfs.ensure, builds_on)
        base_directory = rootfs.ensure(architecture)
        contexts = {"packages": fetched.result(), "base": base_directory, "tools": tools.result()}
        return contexts, f"Debian {rootfs.SUITE} packages"


def _fill_context(context: Path) -> None:
    """The build context as in a checkout, so that one Dockerfile serves both."""
    target = context / "edgesim" / "server"
    for name in _server_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(paths.server_directory() / name, target / name)
