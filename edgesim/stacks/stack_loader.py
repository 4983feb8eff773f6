"""Read stack files, make their paths absolute, and name the wrong line of a wrong file."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgesim import paths, yaml_files
from edgesim.errors import StackError
from edgesim.models import repository
from edgesim.stacks.stack import Stack

_EXAMPLE = "see the examples in docs/tasks/stacks.md"


def is_stack(path: Path) -> bool:
    """Return whether a file is meant as a stack, valid or not: a mapping with services."""
    try:
        document = yaml_files.load(path, "stack", StackError, example=_EXAMPLE)
    except StackError:
        return False
    return isinstance(document, dict) and "services" in document


def read(path: Path) -> Stack:
    """Read and validate one stack file.

    A stack without a name gets the file's name, or the directory's name if the file is ``stack.yaml``. Paths in the
    file are relative to the file; in the stack they are absolute.

    Raises:
        StackError: the file is wrong; the error names the file, the line, the key and the nearest right key.
    """
    if not paths.is_file(path):
        raise StackError(f"{path}: no such stack file", fix=_EXAMPLE)
    written = yaml_files.read(path, "stack", StackError, example=_EXAMPLE)
    facts = {"name": _default_name(path)} | dict(written)
    try:
        stack = Stack.model_validate(facts)
    except ValidationError as error:
        raise StackError(
            yaml_files.problems(path, written, Stack, error),
            fix=f"edit {path}, then: edgesim stack validate {path}",
        ) from error
    return _absolute(stack, path.resolve().parent)


def _default_name(path: Path) -> str:
    name = path.resolve().parent.name if path.stem == "stack" else path.stem
    return name.lower()


def _absolute(stack: Stack, directory: Path) -> Stack:
    """Return the stack with all paths absolute."""

    def absolute(path: Path | None) -> Path | None:
        return directory / path.expanduser() if path is not None else None

    services = {}
    for name, service in stack.services.items():
        changes: dict[str, Any] = {
            "repository": absolute(service.repository),
            "mounts": tuple(mount.model_copy(update={"bind": absolute(mount.bind)}) for mount in service.mounts),
            "watch": service.watch.model_copy(update={"bind": absolute(service.watch.bind)}) if service.watch else None,
            "models": tuple(_model(word, directory) for word in service.models) if service.models else None,
        }
        if service.build is not None:
            changes["build"] = service.build.model_copy(update={"context": absolute(service.build.context)})
        services[name] = service.model_copy(update=changes)
    changes = {"services": services, "profile": _profile(stack.profile, directory)}
    if stack.entry is not None:
        request = stack.entry.request
        if request is not None:
            request = request.model_copy(update={"body": absolute(request.body)})
        model = _model(stack.entry.model, directory) if stack.entry.model is not None else None
        changes["entry"] = stack.entry.model_copy(update={"request": request, "model": model})
    return stack.model_copy(update=changes)


def _model(reference: str, directory: Path) -> str:
    return str(directory / reference) if repository.names_a_file(reference) else reference


def _profile(reference: str, directory: Path) -> str:
    """Make the path of a profile file absolute; keep a profile's name, and the mode behind it."""
    is_file = "/" in reference or ".yaml" in reference or ".yml" in reference
    return str(directory / reference) if is_file else reference


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a stack file, for editors."""
    schema = Stack.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "edgesim stack"
    schema["required"] = ["profile", "services"]
    # The file has shorter forms that the model does not have.
    service, properties = schema["$defs"]["Service"]["properties"], schema["properties"]
    service["after"] = {"anyOf": [service["after"], {"type": "array", "items": {"type": "string"}}]}
    service["environment"]["additionalProperties"] = {"type": ["string", "number"]}
    for key in ("build", "watch"):
        service[key] = {"anyOf": [*service[key]["anyOf"], {"type": "string"}]}
    properties["entry"] = {"anyOf": [*properties["entry"]["anyOf"], {"type": "string"}]}
    return schema
