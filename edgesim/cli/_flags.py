"""Messages of the core name an option by its field; the command line replaces the field by the flag, here alone."""

import re

from edgesim.options import BoardOptions, InputOptions, RunOptions, TrafficOptions

# Flags that are not their field's name with hyphens.
_SPECIAL = {
    "auto_dims": "--dim auto",
    "dims": "--dim",
    "duration_s": "--duration",
    "inputs_file": "--inputs",
    "max_artifact_bytes": "--max-artifact",
    "peak": "--find-peak",
    "annotations": "--annotation",
    "host_libraries": "--host-library",
    "min_change_percent": "--min-change",
    "ranges": "--range",
    "ready_timeout_s": "--ready-timeout",
    "shapes": "--shape",
}
# Values that have a flag of their own.
_FLAG_OF_VALUE = {("grpc_port", "0"): "--grpc"}
_FIELDS = {
    *TrafficOptions.model_fields,
    *InputOptions.model_fields,
    *BoardOptions.model_fields,
    *RunOptions.model_fields,
    *_SPECIAL,
    "base_runtime",
    "baseline",
    "batch",
    "branch",
    "cand_runtime",
    "commits",
    "confidence",
    "dir",
    "directory",
    "extras",
    "file",
    "max_rounds",
    "mlflow",
    "model",
    "outside_container",
    "profile",
    "push",
    "recent",
    "reference",
    "registry",
    "retry",
    "rule",
    "runtimes",
    "save",
    "scheduler",
    "set",
    "tag",
    "tolerance",
    "with_image",
} - {"count"}  # a command of its own sets this field
_FIELD = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`]*))?`")


def flag(field: str) -> str:
    """Return the flag of an option: ``duration_s`` is ``--duration``."""
    return _SPECIAL.get(field, f"--{field.replace('_', '-')}")


def with_flags(text: str) -> str:
    """Replace each option in backticks by its flag: ```execution=scaled``` becomes ``--execution scaled``."""

    def replace(match: re.Match[str]) -> str:
        field, value = match[1], match[2]
        if field not in _FIELDS:
            return match[0]
        if value is None:
            return flag(field)
        return _FLAG_OF_VALUE.get((field, value), f"{flag(field)} {value}")

    return _FIELD.sub(replace, text)
