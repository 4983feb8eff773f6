"""Images of programs that Debian has: its packages as a root file system, with nothing of them run.

For what a stack has beside its models, a database or a script, where no registry answers, or none is wanted.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgesim import __version__
from edgesim.engine import buildx
from edgesim.engine.docker_engine import LABEL, Engine
from edgesim.host.emulator import host_architecture
from edgesim.images import rootfs
from edgesim.images.serving_image import BASE_LABEL, Image
from edgesim.progress import Stages

USER = "65532:65532"
_USERS = "root:x:0:0:root:/root:/bin/sh\nedgesim:x:65532:65532:edgesim:/tmp:/bin/sh\n"
_GROUPS = "root:x:0:\nedgesim:x:65532:\n"

# Byte code is made by the architecture of the machine that builds, and is good for any: a script is started by an
# emulated interpreter, which is slow enough without compiling its library each time.
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
{places}
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp LC_ALL=C.UTF-8
USER {user}
"""


@dataclass(frozen=True, kw_only=True)
class Packages:
    """An image to be made of Debian packages; `places` are directories in it that its user may write to.

    A volume that is mounted there is that user's, too: the engine gives an empty one what the image has there.
    """

    architecture: str
    packages: Sequence[str]
    places: Sequence[str] = ()

    @property
    def reference(self) -> str:
        """A name that changes with everything of ours that goes into the image."""
        facts = (self._dockerfile, _COMPILE, _USERS, _GROUPS, self.packages, rootfs.SUITE, rootfs.LAYOUT)
        digest = hashlib.sha256(repr((self.architecture, facts)).encode()).hexdigest()[:12]
        return f"edgesim/debian:{self.packages[0].replace('+', '_')}-{self.architecture}-{digest}"

    @property
    def _dockerfile(self) -> str:
        places = "\n".join(f"COPY --chown={USER} place {place}/" for place in sorted(self.places))
        return _DOCKERFILE.format(places=places, user=USER)

    def ensure(self, engine: Engine, stages: Stages) -> Image:
        """The image, built unless the engine has it.

        Raises:
            HostError: the packages cannot be had, or no space is left; DeviceError: the build failed.
        """
        base = f"Debian {rootfs.SUITE} packages"
        if (found := engine.image_id(self.reference)) is not None:
            return Image(reference=self.reference, id=found, base=base, cached=True)
        with (
            stages.stage("packages", f"making an image of {', '.join(self.packages)} for linux/{self.architecture}"),
            tempfile.TemporaryDirectory(prefix="edgesim-") as scratch,
        ):
            self._build(Path(scratch), base)
        built = engine.image_id(self.reference)
        assert built is not None, "buildx reported success"
        return Image(reference=self.reference, id=built, base=base, cached=False)

    def _build(self, context: Path, base: str) -> None:
        with ThreadPoolExecutor() as pool:
            tools = pool.submit(rootfs.ensure, host_architecture())
            directory = rootfs.ensure(self.architecture, packages=tuple(self.packages))
        (context / "place").mkdir()
        for name, text in (
            ("Dockerfile", self._dockerfile),
            ("compile.py", _COMPILE),
            ("passwd", _USERS),
            ("group", _GROUPS),
        ):
            (context / name).write_text(text)
        buildx.build(
            context=context,
            dockerfile=context / "Dockerfile",
            tag=self.reference,
            platform=f"linux/{self.architecture}",
            build_contexts={"base": directory, "tools": tools.result()},
            build_args={},
            labels={LABEL: __version__, BASE_LABEL: base},
        )
