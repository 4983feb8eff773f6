"""Flags that are written once and belong to several commands."""

import functools
import inspect
from collections.abc import Callable, Collection
from inspect import Parameter, Signature
from typing import Any, TypeVar, get_type_hints

Function = TypeVar("Function", bound=Callable[..., Any])


def takes(
    keyword: str, build: Callable[..., object], *groups: type, without: Collection[str] = ()
) -> Callable[[Function], Function]:
    """Give a command the flags of `groups`; the command receives what `build` makes of their values as `keyword`.

    Typer learns a command's flags from the signature of its function. The decorated function has the flags in its
    signature where `keyword` is, a keyword-only parameter.

    Args:
        groups: classes whose attributes are flags: a name, an annotation for Typer, and a default.
        without: flags of the groups that the command does not have.
    """
    flags = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=getattr(group, name), annotation=annotation)
        for group in groups
        for name, annotation in get_type_hints(group, include_extras=True).items()
        if name not in without
    ]

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def command(**values: Any) -> Any:
            built = build(**{flag.name: values.pop(flag.name) for flag in flags})
            return function(**values, **{keyword: built})

        own = list(inspect.signature(function).parameters.values())
        place = [each.name for each in own].index(keyword)
        command.__signature__ = Signature([*own[:place], *flags, *own[place + 1 :]])  # type: ignore[attr-defined]
        return command  # type: ignore[return-value]

    return decorate
