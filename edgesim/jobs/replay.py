"""Replay a bundle: archive → digests, model, images → the same run → verdict."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgesim import paths, profiles
from edgesim.bundles import archive, image_layout, manifest, published
from edgesim.bundles.manifest import IMAGES, INPUTS, MODELS, Manifest, broken
from edgesim.engine import registry_access
from edgesim.engine.context import resolve
from edgesim.engine.docker_engine import Engine
from edgesim.errors import ModelError, ProfileError, ResultError, UsageError
from edgesim.gates import replayed
from edgesim.host.scratch import full_disk_is_told, scratch_directory
from edgesim.jobs.bundle import REPLAYED_OPTIONS
from edgesim.jobs.run import run
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import READY_TIMEOUT_S, EngineName, RunOptions
from edgesim.predictions import calibration
from edgesim.predictions.calibration import Calibration
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages
from edgesim.registry import reference
from edgesim.registry.repository import Repository
from edgesim.results.run_result import RunResult
from edgesim.results.verdict import Verdict

# Options of a bundled run that a plain process has no use for, and refuses.
_OF_CONTAINERS = ("base_image", "count", "count_threads", "execution", "gpus", "mount", "runtime")


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A bundle's result, the result of the replay, and the verdict on both.

    Attributes:
        digest: of the bundle's manifest; whoever gave the bundle can say what it must be.
    """

    base: RunResult
    result: RunResult
    verdict: Verdict
    digest: str


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """A bundle in a directory, every file of which is as the manifest says."""

    directory: Path
    manifest: Manifest
    digest: str
    result: RunResult
    profile: DeviceProfile
    model: Model
    options: RunOptions
    calibrations: Mapping[str, Calibration] | None


def replay(
    bundle: str | Path,
    *,
    output: str | Path | None = None,
    engine: EngineName | None = None,
    context: str | None = None,
    host_libraries: Sequence[str] = (),
    ready_timeout_s: float = READY_TIMEOUT_S,
    listener: Listener | None = None,
) -> Replay:
    """Run what a bundle contains again, and compare the result with the bundle's.

    A bundle may be a stranger's: its files stay in a temporary directory, and its model and images run within a
    container. No library of custom operations is loaded on this host but those that `host_libraries` names.

    Args:
        bundle: an archive, or a bundle in a registry: ``REGISTRY/NAME@sha256:…`` or ``REGISTRY/NAME:TAG``.
        output: file that the replay's result is written to.
        engine: None means the engine of the bundled run.
        context: docker context or URL of the engine; None means the current context.
        host_libraries: libraries of custom operations that edgesim may load on this host.
        ready_timeout_s: seconds until the server must be ready; a slow host needs more than the bundled run's host.

    Raises:
        ResultError: the bundle was cut or changed, or is a newer edgesim's; or the result cannot be written.
        NotPublished: the registry has no such bundle.
        HostError: this host cannot run the board, such as without its emulator, or the registry does not answer.
        DeviceError: the device failed in the replay.
    """
    stages = Stages(listener)
    with scratch_directory() as scratch:
        path = _archive(bundle, Path(scratch), context, stages)
        directory = Path(scratch) / "bundle"
        directory.mkdir()
        with stages.stage("bundle", f"reading {bundle}"):
            unpacked = unpack(path, directory)
        options = RunOptions.of(
            unpacked.options.without(_OF_CONTAINERS if engine == "local" else ()),
            models=unpacked.directory / MODELS,
            context=context,
            host_libraries=tuple(host_libraries),
            ready_timeout_s=ready_timeout_s,
            output=Path(output) if output is not None else None,
            **({"engine": engine} if engine is not None else {}),
        )
        images = _images(unpacked, options, stages)
        with _calibrated_as(unpacked):
            result = run(unpacked.profile, unpacked.model, options, listener=listener, serving_images=images)
    files = f"{len(unpacked.manifest.files)} files are as the manifest says"
    return Replay(
        base=unpacked.result,
        result=result,
        verdict=replayed.judge(unpacked.result, result, digests=f"{files}; the bundle is {unpacked.digest[:19]}…"),
        digest=unpacked.digest,
    )


def _archive(bundle: str | Path, scratch: Path, context: str | None, stages: Stages) -> Path:
    """Return the archive of a bundle, fetched if it is in a registry; a name with a registry in it is no file's."""
    path = Path(bundle)
    if isinstance(bundle, Path) or paths.is_file(path) or not reference.names_a_registry(bundle):
        return path
    source = reference.parse(bundle, "bundle")
    with (
        stages.stage("fetch", f"fetching {source}"),
        Repository(registry_access.of(source.registry, context), source.repository) as repository,
    ):
        path = scratch / "fetched.edgesim.tar"
        with full_disk_is_told(str(source)):
            published.fetch(repository, source, path)
    return path


def unpack(path: Path, directory: Path) -> Unpacked:
    """Unpack and check a bundle: each file by its digest, and whether its parts are of one run.

    Raises:
        ResultError: the bundle was cut or changed, its parts do not belong together, or it is a newer edgesim's.
    """
    contents, digest = archive.unpack(path, directory)
    result = _result(path, directory)
    try:
        profile = profiles.of_facts(contents.profile, "profile")
        options = _options(contents.options, directory)
        calibrations = _calibrations(result)
        model = repository.find(_model_name(contents.model), directory / MODELS)
    except (ProfileError, ModelError, UsageError) as error:
        raise broken(str(path), error.problem.replace(f"{directory}/", "")) from error
    if result.invocation is None or contents.profile != result.invocation.profile:
        raise broken(str(path), "its profile is not that of its result")
    if model.sha256 != result.model.sha256:
        raise broken(str(path), f"its model is not that of its result, SHA-256 {result.model.sha256[:12]}…")
    if profile.image.dockerfile is not None and not profile.image.dockerfile.startswith("Dockerfile."):
        raise broken(str(path), f"its image is built from {profile.image.dockerfile[:80]!r}, which is not edgesim's")
    if any(image.name is not None for image in contents.images):
        try:
            image_layout.require_own_names(directory / IMAGES)
        except ValueError as error:
            raise broken(str(path), str(error)) from error
    return Unpacked(
        directory=directory,
        manifest=contents,
        digest=digest,
        result=result,
        profile=profile,
        model=model,
        options=options,
        calibrations=calibrations,
    )


def _calibrated_as(unpacked: Unpacked) -> AbstractContextManager[None]:
    """Return the block in which predictions are corrected as those of the bundled run were, and not as this host's."""
    return calibration.taken_from(unpacked.calibrations) if unpacked.calibrations is not None else nullcontext()


def _calibrations(result: RunResult) -> dict[str, Calibration] | None:
    if result.invocation is None or result.invocation.calibrations is None:
        return None
    try:
        return {target: Calibration.model_validate(facts) for target, facts in result.invocation.calibrations.items()}
    except ValidationError as error:
        raise UsageError(f"calibrations: {str(error).splitlines()[0]}") from error


def _result(path: Path, directory: Path) -> RunResult:
    try:
        return RunResult.read(directory / manifest.RESULT)
    except ResultError as error:
        raise broken(str(path), error.problem.replace(f"{directory}/", "")) from error


def _model_name(name: str) -> str:
    if repository.names_a_file(name) or Path(name).name != name:
        raise ModelError(f"model: {name[:80]!r} is a path, not a model's name")
    return name


def _options(document: Mapping[str, Any], directory: Path) -> RunOptions:
    """Return the options of a bundle: those that name nothing of this host, and inputs within the bundle."""
    options = RunOptions(**document)
    options.require_only(REPLAYED_OPTIONS, "a bundle says nothing about the host that replays it")
    if options.inputs.input is None:
        return options
    file = directory / options.inputs.input
    if options.inputs.input.parent != Path(INPUTS) or not file.resolve().is_relative_to(directory.resolve()):
        raise UsageError(f"options: `input`: {options.inputs.input} is not within the bundle")
    return RunOptions.of(options, input=file)


def _images(unpacked: Unpacked, options: RunOptions, stages: Stages) -> dict[str, str]:
    """Return the images of the bundled run that the engine has by now, by architecture; loaded from the bundle.

    Raises:
        HostError: no engine answers; DeviceError: the engine cannot load the images.
    """
    images = unpacked.manifest.images
    if not images or options.board.engine == "local":
        return {}
    engine = Engine(resolve(options.board.context))
    if included := [image.name for image in images if image.name is not None]:
        with stages.stage("images", "loading the images"):
            prefix = f"{IMAGES}/"
            names = [name.removeprefix(prefix) for name in unpacked.manifest.files if name.startswith(prefix)]
            scratch = unpacked.directory / "images.tar"
            with scratch.open("wb") as file:
                for chunk in image_layout.load_chunks(unpacked.directory / IMAGES, names):
                    file.write(chunk)
            for name in included:
                engine.images.load(scratch, name)
            scratch.unlink()
    found: dict[str, str] = {}
    for image in images:
        # An engine whose images are in containerd has other ids; what was loaded has the bundle's name.
        name = image.name if image.name is not None else image.id
        if engine.images.id(name) is not None:
            found[image.architecture] = name
        else:
            stages.note(f"image {image.reference}: the engine does not have {image.id[:19]}…, and builds it anew")
    return found
