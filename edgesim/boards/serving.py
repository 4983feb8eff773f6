"""A simulated board that serves a model repository, for Python programs and ``edgesim serve``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from edgesim import inputs, profiles
from edgesim.boards import scaling_targets, servable
from edgesim.boards.board import Board
from edgesim.boards.dial import Target
from edgesim.boards.launch import Launch
from edgesim.boards.start import start
from edgesim.engine.mounts import Mount
from edgesim.errors import ModelError, ProfileError, UsageError
from edgesim.inputs.of_several import of_model
from edgesim.inputs.sequences import GenerationSequence
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import BoardOptions, InputOptions, RunKeywords, RunOptions
from edgesim.predictions import Declined, predict_read, require_target
from edgesim.predictions.model_reader import ModelReader
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages

# The options of a run that a board has a use for: it gets its requests from its users.
BOARD_OPTIONS = frozenset({*BoardOptions.model_fields, "models"}) - {"packed", "protocol"}
# Of inputs, those that predicted times and examples are for.
_OPTIONS = BOARD_OPTIONS | frozenset(InputOptions.model_fields)


@contextmanager
def board(
    profile: str | Path | DeviceProfile,
    options: RunOptions | None = None,
    *,
    listener: Listener | None = None,
    **keywords: Unpack[RunKeywords],
) -> Iterator[Board]:
    """Start a simulated board that serves a model repository, for the length of a ``with`` block.

    Args:
        profile: a profile's name, ``name:mode``, a path to a YAML file, or a profile.
        options: `models` (None means ``models/``, or the sample models) and the section `board` apply. All models of
            the repository are loaded; a broken one is left out. The section `inputs` says which inputs a predicted time
            is for; sizes and ranges are for the models that have such a name. ``scaled`` answers in the predicted time
            of `target`; without `execution` the board is emulated or native.
        keywords: single options by name.

    Raises:
        UsageError: no such profile, no model in the repository, or the port is taken.
        HostError: this host cannot run the board; DeviceError: the image, the container or the server failed.
    """
    options, stages = RunOptions.of(options, **keywords), Stages(listener)
    options.require_only(_OPTIONS, "a board that serves gets its requests from its users")
    profile = profiles.load(profile)
    with stages.stage("models", "reading the models"):
        directory = repository.whole(options.models)
        if options.models is None and directory != repository.DEFAULT:
            stages.note(f"no model in {repository.DEFAULT}/: the sample models are served")
        models = _models(directory, stages)
    for model in models:
        of_model(options.inputs, model, models)  # refuses a name that no model has
    mounts = [Mount(directory.resolve(), profile.image.mount_point)]
    launch = Launch.of(profile, models, options.board, mounts=mounts, load_all=True)
    if launch.own_server:
        models = _servable(launch, stages)
        launch = replace(launch, models=tuple(models))
    if options.board.execution == "scaled":
        require_target(profile, launch.target)
        launch = launch.scaled_to(_targets(profile, models, launch.target, options.inputs, stages))
    elif options.board.target is not None and not launch.gpus:
        raise UsageError(
            f"`target={options.board.target}`: only a scaled board answers at the speed of a target",
            fix="`execution=scaled`; on the board itself, `gpus=all`",
        )
    with start(launch, stages) as started:
        yield started


def _models(directory: Path, stages: Stages) -> list[Model]:
    """Return the models of a repository, without those that are broken, which a note names."""
    models = []
    for name in repository.names(directory):
        try:
            models.append(repository.find(name, directory))
        except ModelError as error:
            stages.note(f"model {name} is left out: {error.with_fix}")
    _require_some(models, directory)
    return models


def _servable(launch: Launch, stages: Stages) -> list[Model]:
    """Return the models of a board without those that its server would leave out, which a note names."""
    models = []
    for model in launch.models:
        try:
            servable.require(model, architecture=launch.architecture, board_cores=launch.profile.cpu.cores)
        except ModelError as error:
            stages.note(f"model {model.name} is left out: {error.with_fix}")
        else:
            models.append(model)
    _require_some(models, launch.models[0].path.parents[2])
    return models


def _require_some(models: Sequence[Model], directory: Path) -> None:
    if not models:
        raise ModelError(
            f"{directory}: none of its models can be served", fix="read the message about each model above"
        )


def _targets(
    profile: DeviceProfile, models: Sequence[Model], target: str, options: InputOptions, stages: Stages
) -> list[Target]:
    """Return the predicted times of the models on a target of the board.

    A model without a predicted time answers as fast as the CPU share lets it.

    Raises:
        ModelError, ProfileError: no model has a predicted time; the error says why.
    """
    targets, declined = [], None
    for model in models:
        try:
            chosen = inputs.choose(model, of_model(options, model, models))
            arrays = chosen.requests[0]
            if isinstance(chosen.sequence, GenerationSequence):  # a server has one pace for all requests
                arrays = chosen.sequence.with_cache(chosen.sequence.cached(chosen.sequence.tokens // 2))
                stages.note(f"model {model.name} answers every request in the time of a token in the middle")
            prediction = predict_read(profile, ModelReader(model, arrays=arrays), target=target)
            if isinstance(prediction, Declined):
                raise prediction.as_error()
        except (ModelError, ProfileError) as error:
            declined = error
            stages.note(f"model {model.name} is not slowed down to a time: {error.with_fix}")
            continue
        targets.append(scaling_targets.target(profile, model, arrays, prediction))
    if declined is not None and not targets:
        raise declined
    return targets
