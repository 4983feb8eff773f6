"""Errors of a session of ONNX Runtime on this host: why a model, or a library of custom operations, does not load."""

import re

from edgesim.errors import EdgesimError, HostError, ModelError
from edgesim.host.emulator import host_architecture
from edgesim.models import custom_libraries, locales
from edgesim.models.repository import Model
from edgesim.server.config import PACKAGES

# Names the file once more, or is the runtime's own file in memory.
_LOADING = re.compile(r"Load model from .*? failed: ?")
_NOT_REGISTERED = re.compile(r"(?P<domain>[\w.-]*):\w+\(-?\d+\) is not a registered function/op")
_DOMAIN_OF_EXTENSIONS = "ai.onnx.contrib"


class LibraryNotNamed(ModelError):
    """A model needs a library of custom operations, which is code that the user has not named for this host."""


def library_refusal(name: str, why: str) -> ModelError:
    """Return the error for a library that does not load on this host."""
    return ModelError(
        f"`host_libraries={name}`: not loaded on this host: {why}",
        fix=f"pip install {name}" if name in PACKAGES else "give a library of custom operations for this host",
    )


def cause(text: str) -> str:
    """Return ONNX Runtime's words for a model that does not load, in one line and without the file's name."""
    return _LOADING.sub("", " ".join(text.split()))


def library_fix(text: str) -> str:
    """Return what to do where ONNX Runtime does not know an operation; empty where its words say something else."""
    unknown = _NOT_REGISTERED.search(text)
    if unknown is None:
        return ""
    library = PACKAGES[0] if unknown["domain"] == _DOMAIN_OF_EXTENSIONS else "FILE.so"
    return f"name the library of its operations: libraries: [{library}] in config.yaml beside NAME/1/model.onnx"


def refusal(model: Model, text: str) -> EdgesimError:
    """Return the error for a model that ONNX Runtime does not load on this host.

    Args:
        text: ONNX Runtime's message.

    Returns:
        HostError: this host lacks what the model needs of it.
        LibraryNotNamed: the model needs a library that the user has not named for this host.
        ModelError: the model itself is wrong, so no board could load it either.
    """
    text = cause(text)
    if (locale := locales.missing(text)) is not None:
        return HostError(
            f"this host lacks the locale {locale}, which model {model.name} needs",
            fix="sudo apt-get install locales-all",
        )
    if (missing := custom_libraries.not_named(model, host_architecture(), model.host_libraries)) is not None:
        return LibraryNotNamed(
            f"model {model.name} needs library {missing}, which is not loaded on this host",
            fix=f"if you trust it: `host_libraries={missing}`",
        )
    fix = library_fix(text) or f"edgesim models show {model.path}"
    return ModelError(f"{model.path}: ONNX Runtime does not load it: {text}", fix=fix)
