"""The facts of a document as its author stated them, for digests that last while edgesim learns to read more facts."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel


def stated(document: BaseModel, always: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """Return a document's facts as JSON has them, without optional facts at their default.

    A digest of these facts stays the same when edgesim gains an optional fact, and files that hold the digest stay
    comparable.

    Args:
        always: optional facts that stay at their default, too, by the name of their class: those that digests in
            existing files contain.
    """
    facts: dict[str, Any] = _stated(document, document.model_dump(mode="json"), always)
    return facts


def _stated(value: Any, dumped: Any, always: Mapping[str, Collection[str]]) -> Any:
    if isinstance(value, BaseModel):
        kept = always.get(type(value).__name__, ())
        return {
            name: _stated(fact, dumped[name], always)
            for name, field in type(value).model_fields.items()
            if (fact := getattr(value, name)) != field.get_default(call_default_factory=True) or name in kept
        }
    if isinstance(value, Mapping):
        return {
            key: _stated(fact, as_json, always)
            for fact, (key, as_json) in zip(value.values(), dumped.items(), strict=True)
        }
    if isinstance(value, list | tuple):
        return [_stated(fact, as_json, always) for fact, as_json in zip(value, dumped, strict=True)]
    return dumped
