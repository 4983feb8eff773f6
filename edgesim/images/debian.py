"""Images of Debian packages: unpacked as a root file system, without running any of their scripts.

For services of a stack other than models, such as a database or a script, if no registry answers or none is wanted.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgesim.engine import buildx
from edgesim.engine.docker_engine import Engine
from edgesim.engine.labels import LABEL
from edgesim.host.cache import make_public
from edgesim.host.emulator import host_architecture
from edgesim.host.scratch import scratch_directory
from edgesim.images import rootfs
from edgesim.images.build_once import to_build
from edgesim.images.image import BASE_LABEL, Image
from edgesim.progress import Stages
from edgesim.version import __version__

USER = "65532:65532"
_USERS = "root:x:0:0:root:/root:/bin/sh\nedgesim:x:65532:65532:edgesim:/tmp:/bin/sh\n"
_GROUPS = "root:x:0:\nedgesim:x:65532:\n"

# The machine that builds compiles the byte code, which is valid on every architecture: an emulated interpreter, which
# starts the service's script, is slow enough without compiling its library each time.
_COMPILE = """
import compileall, pathlib, py_compile, shutil
target = pathlib.Path('/target/usr/lib/python3.11')
if (library := pathlib.Path('/base/usr/lib/python3.11')).is_dir():
    shutil.copytree(library, target, symlinks=True)
    compileall.compile_dir(target, quiet=2, stripdir='/target', prependdir='/',
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
else:
    target.parents[2].mkdir()
"""
_DOCKERFILE = """\
FROM tools AS bytecode
COPY compile.py /
RUN --mount=type=bind,from=base,target=/base ["/usr/bin/python3.11", "/compile.py"]

FROM base
COPY --from=bytecode /target /
COPY passwd group /etc/
{writable}
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp LC_ALL=C.UTF-8
USER {user}
"""


@dataclass(frozen=True, kw_only=True)
class Packages:
    """An image of Debian packages.

    Attributes:
        writable: directories of the image that its user may write to. An empty volume that is mounted at one belongs
            to the user as well: the engine copies the directory of the image into the volume.
    """

    architecture: str
    packages: Sequence[str]
    writable: Sequence[str] = ()

    @property
    def reference(self) -> str:
        """The image's name, which changes with everything of edgesim's in the image."""
        facts = (self._dockerfile, _COMPILE, _USERS, _GROUPS, self.packages, rootfs.SUITE, rootfs.LAYOUT)
        digest = hashlib.sha256(repr((self.architecture, facts)).encode()).hexdigest()[:12]
        return f"edgesim/debian:{self.packages[0].replace('+', '_')}-{self.architecture}-{digest}"

    @property
    def _dockerfile(self) -> str:
        writable = "\n".join(f"COPY --chown={USER} place {directory}/" for directory in sorted(self.writable))
        return _DOCKERFILE.format(writable=writable, user=USER)

    def build(self, engine: Engine, stages: Stages) -> Image:
        """Return the image, built unless the engine has it.

        Raises:
            PackageUnknown: Debian has no such package.
            HostError: the packages cannot be fetched, or no space is left; DeviceError: the build failed.
        """
        base = f"Debian {rootfs.SUITE} packages"
        if (image_id := engine.images.id(self.reference)) is not None:
            return Image(reference=self.reference, id=image_id, base=base, cached=True)
        with (
            stages.stage("packages", f"making an image of {', '.join(self.packages)} for linux/{self.architecture}"),
            to_build(engine, self.reference, stages) as needed,
        ):
            if needed:
                with scratch_directory() as scratch:
                    self._build(Path(scratch), base)
        image_id = engine.images.id(self.reference)
        assert image_id is not None, "buildx reported success"
        return Image(reference=self.reference, id=image_id, base=base, cached=not needed)

    def _build(self, context: Path, base: str) -> None:
        with ThreadPoolExecutor() as pool:
            tools = pool.submit(rootfs.make, host_architecture())
            directory = rootfs.make(self.architecture, packages=tuple(self.packages))
        (context / "place").mkdir()
        for name, text in (
            ("Dockerfile", self._dockerfile),
            ("compile.py", _COMPILE),
            ("passwd", _USERS),
            ("group", _GROUPS),
        ):
            (context / name).write_text(text, encoding="utf-8")
        make_public(context)
        buildx.build(
            context=context,
            dockerfile=context / "Dockerfile",
            tag=self.reference,
            platform=f"linux/{self.architecture}",
            build_contexts={"base": directory, "tools": tools.result()},
            build_args={},
            labels={LABEL: __version__, BASE_LABEL: base},
        )
