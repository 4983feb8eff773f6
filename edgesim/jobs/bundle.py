"""Bundle a result: result → model, inputs and images of the run, checked against the result → archive."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgesim import profiles
from edgesim.bundles import archive, environment, manifest, published, readme
from edgesim.bundles.image_layout import Layout
from edgesim.bundles.manifest import IMAGES, INPUTS, MODELS, Manifest, ServingImage
from edgesim.bundles.published import Published
from edgesim.delivery import contents, sbom
from edgesim.delivery.annotations import of_model
from edgesim.delivery.deliver import model_mounts
from edgesim.engine import registry_access
from edgesim.engine.context import resolve
from edgesim.engine.docker_engine import Engine
from edgesim.errors import ImageUnavailable, ModelError, ResultError, UsageError
from edgesim.host.architecture import architecture_of
from edgesim.host.scratch import full_disk_is_told, scratch_directory
from edgesim.images import serving_image
from edgesim.inputs import named_files
from edgesim.jobs import published_image
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import ALL_OPTIONS, InputOptions, RunOptions
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages
from edgesim.registry import reference
from edgesim.registry.documents import CREATED
from edgesim.registry.reference import Reference
from edgesim.registry.repository import Repository
from edgesim.results.result_file import OtherKindOfResult
from edgesim.results.run_result import RunResult
from edgesim.version import __version__

# Options of the host, of its files and of its user's trust, which another host has of its own.
_OF_THE_HOST = frozenset(
    {
        *("client_cores", "context", "host_libraries", "inputs_file", "models", "output", "packed", "port"),
        *("ready_timeout_s", "results", "volume", "watch"),
    }
)
REPLAYED_OPTIONS = ALL_OPTIONS - _OF_THE_HOST


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle that was written.

    Attributes:
        digest: of the manifest, and so of everything in the bundle; equal for equal content.
        files: number of files.
        images: the images of the run, with which of them the bundle contains.
        published: ``REGISTRY/NAME@sha256:…``, by which a registry has the bundle; None if it was not pushed.
        published_result: the same of the result, which refers to the bundle.
        annotations: of both in the registry, by the OCI's names.
    """

    path: Path
    digest: str
    size_bytes: int
    files: int
    images: tuple[ServingImage, ...]
    published: str | None = None
    published_result: str | None = None
    annotations: dict[str, str] = field(default_factory=dict)


def bundle(
    result: str | Path,
    output: str | Path,
    *,
    with_image: bool = False,
    push: str | None = None,
    annotations: Mapping[str, str] | None = None,
    context: str | None = None,
    listener: Listener | None = None,
) -> Bundle:
    """Pack a result with everything that the run was made from into one archive.

    The same content gives the same bytes. Call this in the directory in which the run was started: the result names
    files as the caller of the run did.

    Args:
        result: a result file of one model.
        output: the archive, ``NAME.edgesim.tar``.
        with_image: put the container images of the run in, too.
        push: also push the bundle to a registry under this name, ``REGISTRY/NAME:TAG``, with the account of
            ``docker login``; the result becomes a referrer of the bundle.
        annotations: of the bundle in the registry, in addition to those that `edgesim.delivery.annotations` knows.
        context: docker context or URL of the engine that has the images; None means the current context.

    Raises:
        ResultError: the file is no result, does not say how it was made, or the archive cannot be written.
        ModelError: the model or its inputs are not those of the run any more.
        RegistryError: the registry refuses the bundle, breaks off, or does not answer.
        HostError: no engine answers; ImageUnavailable: the engine has lost an image of the run.
    """
    result_path, target, stages = Path(result), Path(output), Stages(listener)
    if target.is_dir() or not target.parent.is_dir():
        raise ResultError(f"{target}: is a directory, or its directory does not exist", fix="give `output` a file")
    published_as = reference.parse_tagged(push, "push") if push is not None else None
    if annotations and published_as is None:
        raise UsageError("`annotations`: are for a bundle that is pushed", fix="also give `push`")
    recorded = _of_one_model(result_path)
    invocation = _invocation(recorded, result_path)
    profile, options = invocation.profile, invocation.options
    if published_as is not None:
        with stages.stage("registry", f"asking {published_as.registry}"), _repository(published_as, context) as opened:
            opened.require_writable()
    with (
        _model_source(invocation, context, stages) as models,
        scratch_directory() as scratch,
        full_disk_is_told(f"the files of {target}"),
    ):
        with stages.stage("model", "reading the model"):
            model = _model(recorded, replace(invocation, options=RunOptions.of(options, models=models)))
        noted = {CREATED: recorded.created, **of_model(model, annotations or {})} if published_as is not None else {}
        files = dict(_model_files(model, options.inputs))
        files |= _named_inputs(options.inputs)
        images, components = _images(recorded), sbom.Components()
        if with_image:
            with stages.stage("images", "saving the images"):
                images, saved = _save_images(images, Engine(resolve(context)), Path(scratch), components)
                files |= saved
        for name, version in environment.packages():
            components.add_python_package(name, version)
        documents = {
            manifest.SBOM: sbom.document(components, [model], profile, of="bundle", kind="data"),
            manifest.ENVIRONMENT: environment.document(),
            manifest.README: readme.render(_readme_facts(recorded), images, profile.architecture),
        }
        for name, data in documents.items():
            path = Path(scratch) / name
            path.write_bytes(data)
            files[name] = path
        files[manifest.RESULT] = result_path
        written = Manifest(
            edgesim_version=__version__,
            files=archive.described(files),
            images=images,
            profile=invocation.facts,
            model=model.name,
            options=_portable(options),
        )
        with stages.stage("write", f"writing {target}"):
            digest = archive.write(target, written, files)
    bundled = Bundle(
        path=target, digest=digest, size_bytes=target.stat().st_size, files=len(files), images=tuple(images)
    )
    if published_as is None:
        return bundled
    with stages.stage("push", f"pushing {published_as}"):
        pushed = _push(bundled.path, result_path, published_as, options.board.packed, noted, context)
    return replace(
        bundled, published=pushed.bundle, published_result=pushed.result, annotations=dict(pushed.annotations)
    )


def _push(
    archive_path: Path,
    result_path: Path,
    name: Reference,
    packed: str | None,
    annotations: Mapping[str, str],
    context: str | None,
) -> Published:
    (described,) = archive.described({archive_path.name: archive_path}).values()
    image = reference.parse_pinned(packed, "packed") if packed is not None else None
    with _repository(name, context) as repository:
        return published.push(
            repository,
            name,
            archive_path,
            described,
            result_path,
            annotations=annotations,
            image=image.digest if image is not None and image.name == name.name else None,
        )


def _repository(name: Reference, context: str | None) -> Repository:
    return Repository(registry_access.of(name.registry, context), name.repository)


def _of_one_model(path: Path) -> RunResult:
    try:
        return RunResult.read(path)
    except OtherKindOfResult as error:
        error.fix = "archive the stack file's directory, and the images of its services: docker image save IMAGE …"
        raise


@dataclass(frozen=True, kw_only=True)
class _Invocation:
    """What the run was called with; `options` have the model repository."""

    facts: dict[str, Any]
    profile: DeviceProfile
    model: str
    options: RunOptions


def _invocation(result: RunResult, path: Path) -> _Invocation:
    if result.invocation is None:
        raise ResultError(
            f"{path}: does not have the options of its run: the run was interrupted, is one side of a paired run, or"
            " is older than bundles",
            fix="edgesim run PROFILE MODEL -o FILE.json writes a result that can be bundled",
        )
    profile = profiles.of_facts(result.invocation.profile, f"{path}: invocation.profile")
    if profile.image.dockerfile is not None and not serving_image.is_own(profile.image.dockerfile):
        raise ResultError(
            f"{path}: the board's image is built from {profile.image.dockerfile}, which a bundle cannot contain",
            fix="build the image, and name it in the profile: image.reference",
        )
    return _Invocation(
        facts=result.invocation.profile,
        profile=profile,
        model=result.invocation.model,
        options=RunOptions(**dict(result.invocation.options)),
    )


@contextmanager
def _model_source(invocation: _Invocation, context: str | None, stages: Stages) -> Iterator[Path | None]:
    """Provide the model repository of the run; that of a published image is there for the length of the block."""
    packed = invocation.options.board.packed
    if packed is None:
        yield invocation.options.models
        return
    engine, name = Engine(resolve(context)), reference.parse_pinned(packed, "packed")
    published_image.pull(engine, name, invocation.profile, stages)
    with published_image.model_of(engine, name, invocation.profile.image.mount_point, stages) as model:
        yield published_image.repository_of(model)


def _model(result: RunResult, invocation: _Invocation) -> Model:
    """Return the model of the run.

    Raises:
        ModelError: it is not there, or has changed since.
    """
    try:
        model = repository.find(invocation.model, invocation.options.models)
    except ModelError as error:
        error.fix = "bundle in the directory in which the run was started, or run again"
        raise
    if model.sha256 != result.model.sha256:
        raise ModelError(
            f"{model.path}: is no longer the model of the run: SHA-256 {model.sha256[:12]}…, the run's was"
            f" {result.model.sha256[:12]}…",
            fix="restore the model, or run again",
        )
    of_run = result.model.configuration.sha256 if result.model.configuration is not None else None
    if of_run is not None and (model.configuration is None or model.configuration.sha256 != of_run):
        raise ModelError(f"{model.path}: its configuration has changed since the run", fix="restore it, or run again")
    return replace(model, name=result.model.name)


def _model_files(model: Model, options: InputOptions) -> Iterator[tuple[str, Path]]:
    """Yield the files of a repository with this model alone, and with the inputs that the run took from beside it."""
    yield from contents.of(model_mounts(model, f"/{MODELS}"), "/").files.items()
    directory = f"{MODELS}/{model.name}"
    if model.samples_path is not None and options.input is None and options.inputs_file is None:
        yield f"{directory}/{model.samples_path.name}", model.samples_path
    # A file that the user named becomes the model's own, which may not lead out of its directory when it is replayed.
    file = options.inputs_file if options.inputs_file is not None else model.inputs_path
    if file is None:
        return
    yield f"{directory}/{repository.INPUTS_NAME}", file
    for one in named_files.named(file, model):
        if one.leads_out:
            raise UsageError(
                f"{file}: inputs.{one.input}: {one.pattern}: leads out of the directory of the file, and could not be"
                " replayed",
                fix=f"put the files below {file.parent}, and run again",
            )
        yield from ((f"{directory}/{path.relative_to(one.directory).as_posix()}", path) for path in one.paths())


def _named_inputs(options: InputOptions) -> Mapping[str, Path]:
    """Return the files of real inputs that the user named."""
    if options.input is None:
        return {}
    where = f"{INPUTS}/{options.input.name}"
    if options.input.is_dir():
        arrays = [path for path in options.input.iterdir() if path.suffix in (".npz", ".npy")]
        return {f"{where}/{path.name}": path for path in arrays}
    return {where: options.input}


def _portable(options: RunOptions) -> dict[str, Any]:
    """Return the options that another host can take, those at their defaults left out; paths are the bundle's."""
    portable = options.without(_OF_THE_HOST)
    if options.inputs.input is not None:
        portable = RunOptions.of(portable, input=Path(INPUTS) / options.inputs.input.name)
    changed = portable.changed()
    document = portable.model_dump(mode="json")
    return {
        key: value
        if not isinstance(value, dict) or key == "match"
        else {k: v for k, v in value.items() if k in changed}
        for key, value in document.items()
        if key in ("traffic", "inputs", "board") or key in changed
    }


def _readme_facts(result: RunResult) -> readme.Facts:
    return readme.Facts(
        edgesim_version=result.edgesim_version,
        created=result.created,
        execution=result.execution,
        board=result.profile.title_and_mode,
        model=result.model.name,
        version=result.model.version,
        sha256=result.model.sha256,
        validity=result.validity.words,
    )


def _images(result: RunResult) -> tuple[ServingImage, ...]:
    """Return the images of all parts of a run, by architecture."""
    images: dict[str, ServingImage] = {}
    for part in (result, result.emulated):
        image_id = (part.image.server_id or part.image.id) if part is not None else None
        if part is not None and image_id is not None and part.image.reference is not None:
            architecture = architecture_of(part.device.architecture)
            images[architecture] = ServingImage(architecture=architecture, reference=part.image.reference, id=image_id)
    return tuple(images[architecture] for architecture in sorted(images))


def _save_images(
    images: Sequence[ServingImage], engine: Engine, scratch: Path, components: sbom.Components
) -> tuple[tuple[ServingImage, ...], dict[str, Path]]:
    """Write the images as one OCI layout; return them as included, and the layout's files.

    Raises:
        UsageError: the run had no image; ImageUnavailable: the engine has not the image of the run.
    """
    if not images:
        raise UsageError("`with_image`: the run used no container", fix="omit `with_image`")
    layout, included = Layout(scratch / IMAGES), []
    for image in images:
        name = image.reference if engine.images.id(image.reference) == image.id else image.id
        if engine.images.id(name) is None:
            raise ImageUnavailable(
                f"the engine no longer has the image of the run: {image.reference}, {image.id[:19]}…",
                fix="run again and bundle the new result, or omit `with_image`",
            )
        saved = scratch / "saved.tar"
        engine.images.save(name, saved)
        included.append(image.model_copy(update={"name": layout.add(saved, image.reference, components)}))
        saved.unlink()
    return tuple(included), {f"{IMAGES}/{name}": path for name, path in layout.finish().items()}
