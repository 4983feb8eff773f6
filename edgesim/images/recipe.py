"""The recipe of one of edgesim's images: the Dockerfile, the stages made beforehand, and the build context."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesim.engine import buildx
from edgesim.engine.docker_engine import Engine
from edgesim.engine.labels import LABEL
from edgesim.host.scratch import scratch_directory
from edgesim.images.image import BASE_LABEL, Image
from edgesim.progress import Stages
from edgesim.version import __version__


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a build of an image takes.

    Attributes:
        reference: the image's name.
        title: the image in words, such as ``the serving image``.
        arguments: the Dockerfile's arguments.
        make_stages: returns the directories that replace stages of the Dockerfile, by the stages' names, and the base
            for the image's label.
        fill_context: lays the build context out in an empty directory.
    """

    reference: str
    title: str
    architecture: str
    dockerfile: Path
    arguments: Mapping[str, str]
    make_stages: Callable[[], tuple[Mapping[str, Path], str]]
    fill_context: Callable[[Path], None]

    def build(self, engine: Engine, stages: Stages, *, use_cache: bool) -> None:
        """Build the image in an engine.

        Raises:
            HostError: something is missing on this host; DeviceError: the build failed.
        """
        with stages.stage("base and packages", "fetching the base image and the Python packages"):
            directories, base = self.make_stages()
        with (
            stages.stage("build", f"building {self.title} {self.reference} for linux/{self.architecture}"),
            scratch_directory() as scratch,
        ):
            context = Path(scratch)
            self.fill_context(context)
            # Where edgesim is installed, a docker command from snap may see no files.
            dockerfile = Path(shutil.copy(self.dockerfile, context))
            buildx.build(
                context=context,
                dockerfile=dockerfile,
                tag=self.reference,
                platform=f"linux/{self.architecture}",
                build_contexts=directories,
                build_args=self.arguments,
                labels={LABEL: __version__, BASE_LABEL: base},
                use_cache=use_cache,
                engine=engine.context,
            )


def built(engine: Engine, reference: str, *, cached: bool) -> Image | None:
    """Return an image that edgesim has built, with its base; None if the engine does not have the image."""
    image_id = engine.images.id(reference)
    if image_id is None:
        return None
    return Image(reference=reference, id=image_id, base=engine.images.label(reference, BASE_LABEL) or "", cached=cached)
