"""The pinned packages of edgesim's own image."""

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgesim.errors import UsageError
from edgesim.images import pins
from tests.support.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOW = "run: python -m edgesim.images.pins"


def pinned(*extras: str) -> dict[str, str]:
    lines = (line.split("==") for line in pins.requirements(extras).splitlines())
    return {canonicalize_name(name): version for name, version in lines}


def test_every_extra_for_users_can_be_chosen() -> None:
    assert set(pins.extras()) == set(PROJECT["optional-dependencies"]) - {"dev"}, HOW


@pytest.mark.parametrize("extra", ["", *pins.extras()])
def test_pins_fit_what_pyproject_asks_for(extra: str) -> None:
    words = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    versions = pinned(*filter(None, [extra]))
    for requirement in map(Requirement, words):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement}: {HOW}"
        assert version in requirement.specifier, HOW


def test_extras_together_pin_each_package_once() -> None:
    names = [line.partition("==")[0] for line in pins.requirements(pins.extras()).splitlines()]
    assert len(names) == len(set(names))


def test_extras_are_read_in_any_order_with_blanks_between() -> None:
    assert pins.parse_extras("mlflow, dask,dask") == ["dask", "mlflow"]


@pytest.mark.parametrize("text", ["daks", "", "dask,,mlflow", "dev"])
def test_unknown_extra_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match="no such extra") as raised:
        pins.parse_extras(text)
    assert "dask" in raised.value.fix
