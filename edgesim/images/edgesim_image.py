"""edgesim's own image: the command line in a container, for CI jobs, pods and pipelines."""

import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgesim import paths
from edgesim.engine import buildx
from edgesim.engine.docker_engine import Engine
from edgesim.errors import HostError
from edgesim.host.cache import make_public
from edgesim.images import pins, python_packages, rootfs
from edgesim.images.build_once import to_build
from edgesim.images.image import Image
from edgesim.images.recipe import Recipe, built
from edgesim.images.runtime_releases import TRIXIE
from edgesim.progress import Stages
from edgesim.version import __version__

_DOCKERFILE = "Dockerfile.edgesim"
# Packages come as wheels, and hdrhistogram 0.10.8 has none for Linux on arm64, with any Python.
_ARCHITECTURES = ("amd64",)
# What edgesim's commands call, and what a job's script expects: a shell with its tools.
_DEBIAN_PACKAGES = (
    *("base-files", "bash", "coreutils", "dash", "findutils", "grep", "sed", "ca-certificates"),
    *("python3", "libstdc++6", "git", "docker-cli", "docker-buildx", "docker-compose", "mmdebstrap"),
)
# By its metadata Python knows the version that is installed, and pytest finds edgesim's plugin.
_METADATA = "Metadata-Version: 2.1\nName: edgesim\nVersion: {version}\n"
_ENTRY_POINTS = "[pytest11]\nedgesim = edgesim.pytest_plugin\n"


@dataclass(frozen=True, kw_only=True)
class EdgesimImage:
    """edgesim's own image, as it is to be built.

    Attributes:
        architecture: that of the engine, since the build runs programs of the image.
        extras: extras of the package edgesim that the image has, such as ``dask``; sorted.
        base_image: the image to build on; None means Debian's public image or, if no registry answers, an image made
            from Debian packages.
    """

    architecture: str
    extras: Sequence[str] = ()
    base_image: str | None = None

    @property
    def reference(self) -> str:
        """The image's name, which changes with everything of edgesim's in the image."""
        digest = hashlib.sha256(paths.dockerfile(_DOCKERFILE).read_bytes())
        for name, path in sorted(paths.package_files().items()):
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
        base = (self.base_image, TRIXIE, _DEBIAN_PACKAGES, rootfs.LAYOUT)
        digest.update(repr((self.architecture, __version__, self._requirements, base)).encode())
        words = (__version__.replace("+", "_"), *self.extras, self.architecture, digest.hexdigest()[:12])
        return f"edgesim/edgesim:{'-'.join(words)}"

    @property
    def _requirements(self) -> str:
        return pins.requirements(self.extras)

    def build(self, engine: Engine, stages: Stages, *, rebuild: bool = False) -> Image:
        """Return the image, built unless the engine has it.

        Raises:
            HostError: something is missing on this host, or the image cannot be made for the architecture; DeviceError:
                the build failed.
        """
        if self.architecture not in _ARCHITECTURES:
            raise HostError(
                f"edgesim's own image: cannot be made for {self.architecture}, since hdrhistogram has a wheel for"
                f" {', '.join(_ARCHITECTURES)} alone",
                fix="install edgesim with pip there, which compiles the package: see docs/quickstart.md",
            )
        recipe = self._recipe()
        with to_build(engine, recipe.reference, stages, rebuild=rebuild) as needed:
            if needed:
                recipe.build(engine, stages, use_cache=not rebuild)
        image = built(engine, recipe.reference, cached=not needed)
        assert image is not None, "buildx reported success"
        return image

    def _recipe(self) -> Recipe:
        return Recipe(
            reference=self.reference,
            title="edgesim's own image",
            architecture=self.architecture,
            dockerfile=paths.dockerfile(_DOCKERFILE),
            arguments={"BASE": self.base_image or TRIXIE.image, "DEBIAN_PACKAGES": " ".join(_DEBIAN_PACKAGES)},
            make_stages=self._make_stages,
            fill_context=_fill_context,
        )

    def _make_stages(self) -> tuple[dict[str, Path], str]:
        """Return the stages of the Dockerfile that are made beforehand, and the base for the image's label."""
        with ThreadPoolExecutor() as pool:
            packages = pool.submit(
                python_packages.fetch, self.architecture, self._requirements, TRIXIE, program="edgesim's own image"
            )
            base = self.base_image
            if base is None and buildx.registry_has(TRIXIE.image):
                base = TRIXIE.image
            if base is not None:
                return {"packages": packages.result()}, base
            directory = rootfs.make(self.architecture, suite=TRIXIE.suite, packages=_DEBIAN_PACKAGES)
            return {"packages": packages.result(), "base": directory}, f"Debian {TRIXIE.suite} packages"


def _fill_context(context: Path) -> None:
    """Lay edgesim out as an installation has it."""
    for name, path in paths.package_files().items():
        target = context / "edgesim" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    metadata = context / f"edgesim-{__version__}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(_METADATA.format(version=__version__), encoding="utf-8")
    (metadata / "entry_points.txt").write_text(_ENTRY_POINTS, encoding="utf-8")
    make_public(context)
