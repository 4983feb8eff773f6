"""What the protocol has beside inference: metadata, configuration, statistics, the repository, and settings.

Every transport answers from here. Documents are in the form of the protocol's JSON.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from .inference_request import BadRequest
from .served_models import ServedModels

NAME = "edgesim"
VERSION = "1"
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "statistics",
    "model_configuration",
    "model_repository",
    "logging",
)
_FILE_PARAMETER = re.compile(r"file:([0-9]+)/model\.onnx")


class Management:
    """Describes and changes what a server serves.

    Methods that take the name of a model raise `NotServed` if the server has no such model.
    """

    def __init__(self, models: ServedModels) -> None:
        self.models = models
        self.log_settings: dict[str, Any] = {
            "log_file": "",
            "log_info": True,
            "log_warning": True,
            "log_error": True,
            "log_verbose_level": 0,
            "log_format": "default",
        }

    def server(self) -> dict[str, Any]:
        """Return the metadata of the server."""
        return {"name": NAME, "version": VERSION, "extensions": list(EXTENSIONS)}

    def is_ready(self) -> bool:
        """Return whether the server serves at least one model."""
        return bool(self.models.loaded())

    def metadata(self, name: str, version: str | None = None) -> dict[str, Any]:
        return self.models.get(name, version).metadata(self.models.versions(name))

    def config(self, name: str, version: str | None = None) -> dict[str, Any]:
        """Return the configuration of a model as clients of Triton expect it."""
        from . import triton_config  # imported when a client first asks

        model = self.models.get(name, version)
        return triton_config.as_json(model.config, name, model.inputs, model.outputs)

    def statistics(self, name: str | None = None, version: str | None = None) -> dict[str, Any]:
        """Return the statistics of a version, of all versions of a model, or of all models."""
        if name is None:
            models = self.models.loaded()
        else:
            newest = self.models.get(name, version)
            models = [newest] if version else [self.models.get(name, v) for v in self.models.versions(name)]
        return {"model_stats": [m.statistics.as_json(m.name, m.version) for m in models]}

    def index(self, *, ready_only: bool = False) -> list[dict[str, str]]:
        """Return the models of the repository with their states."""
        return [entry for entry in self.models.index() if not ready_only or entry["state"] == "READY"]

    async def load(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Load a model as it is on disk, or as `parameters` say.

        Args:
            parameters: ``config``, a configuration as JSON, and ``file:VERSION/model.onnx``, the bytes of a model.

        Raises:
            BadRequest, ConfigError: a parameter is malformed; NotLoaded, NotServed: see `ServedModels.load`.
        """
        files = {}
        for key, value in parameters.items():
            if key == "config":
                continue
            file = _FILE_PARAMETER.fullmatch(key)
            if file is None or not isinstance(value, bytes):
                raise BadRequest(f"parameter {key[:80]!r}: only 'config' and 'file:VERSION/model.onnx' are understood")
            files[file[1]] = value
        model_config = None
        if "config" in parameters:
            if not isinstance(parameters["config"], str):
                raise BadRequest("parameter 'config' must be a string of JSON")
            from . import triton_config

            model_config = triton_config.from_json(parameters["config"], name, source="parameters.config")
        if "/" in name or name in ("", ".", ".."):
            raise BadRequest(f"{name!r} is no model's name")
        await asyncio.to_thread(self.models.load, name, model_config, files)

    async def unload(self, name: str) -> None:
        await asyncio.to_thread(self.models.unload, name)

    def set_logging(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings of the log, and return all settings.

        Raises:
            BadRequest: there is no such setting, its value is of another type, or it cannot be changed.
        """
        for key, value in changes.items():
            current = self.log_settings.get(key)
            if current is None:
                raise BadRequest(f"unknown logging setting {key!r}; there are {', '.join(self.log_settings)}")
            if type(value) is not type(current):
                raise BadRequest(f"logging setting {key!r} is {value!r}; expected a {type(current).__name__}")
            if key in ("log_file", "log_format") and value != current:
                raise BadRequest(f"logging setting {key!r}: this server logs to its standard error alone")
            self.log_settings[key] = value
        self.models.verbose = bool(self.log_settings["log_info"])
        return self.log_settings

    def set_tracing(self, changes: Mapping[str, Any], name: str | None = None) -> dict[str, Any]:
        """Return the settings of traces, which this server does not record.

        Raises:
            BadRequest: a change asks for traces.
        """
        if name is not None:
            self.models.get(name)
        settings = {
            "trace_level": ["OFF"],
            "trace_rate": "1000",
            "trace_count": "-1",
            "log_frequency": "0",
            "trace_file": "",
            "trace_mode": "triton",
        }
        for key, value in changes.items():
            if value is not None and value != settings.get(key):
                raise BadRequest(
                    f"trace setting {key!r}: this server records no traces; see /v2/models/stats and /metrics"
                )
        return settings
