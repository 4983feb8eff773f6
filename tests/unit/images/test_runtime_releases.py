"""The releases of ONNX Runtime: which a text names, and what an image for each of them needs."""

import pytest

from edgesim import profiles
from edgesim.errors import UsageError
from edgesim.images import runtime_releases, serving_image
from edgesim.images.runtime_releases import VERSIONS


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("1.16.2", ["1.16.2"]),
        ("1.16", ["1.16.3"]),
        ("1.14..1.16", ["1.14.1", "1.15.1", "1.16.3"]),
        ("1.18, 1.11.0", ["1.11.0", "1.18.1"]),
        ("1.30..9.9", ["1.30.0", "1.31.1", "1.32.0"]),
        ("1.99.1", ["1.99.1"]),  # the package index knows whether there is one
    ],
)
def test_a_text_names_releases(text: str, versions: list[str]) -> None:
    assert runtime_releases.versions(text) == versions
    assert runtime_releases.names_several(text) == (len(versions) > 1)


@pytest.mark.parametrize("text", ["1.14..1.16", "1.14,1.16", "all"])
def test_a_board_takes_no_range_of_releases_and_the_fix_names_the_check_that_does(text: str) -> None:
    with pytest.raises(UsageError, match="a board has one release") as raised:
        runtime_releases.choose(text)
    assert f"`runtimes={text}`" in raised.value.fix


def test_a_version_without_a_patch_is_its_newest_patch() -> None:
    assert runtime_releases.choose("1.16").version == "1.16.3"


def test_all_releases_are_the_newest_patch_of_each_minor_version() -> None:
    chosen = runtime_releases.versions("all")
    assert (chosen[0], chosen[-1]) == (VERSIONS[0], VERSIONS[-1])
    assert len({version.rpartition(".")[0] for version in chosen}) == len(chosen)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.9.0", "no image is made for ONNX Runtime before 1.10"),
        ("1.17.2", "no release of ONNX Runtime has a wheel; did you mean"),
        ("newest", "'newest' is no version"),
        ("1.3..1.5", "no release in this range"),
        ("1.3..", "'' is no version"),
        (",", "names no version"),
        ("1.16.3; rm -rf /", "is no version"),
    ],
)
def test_a_text_that_names_no_release_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"`runtime=") as caught:
        runtime_releases.versions(text)
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("version", "python", "numpy"),
    [("1.10.0", "3.9", "1.26.4"), ("1.14.1", "3.9", "1.26.4"), ("1.18.1", "3.11", "1.26.4")],
)
def test_a_release_pins_all_packages_of_its_image(version: str, python: str, numpy: str) -> None:
    release = runtime_releases.choose(version)
    assert release.debian.python == python
    pins = dict(line.split("==") for line in release.requirements.splitlines())
    assert (pins["onnxruntime"], pins["numpy"]) == (version, numpy)
    assert set(pins) == {line.split("==")[0] for line in runtime_releases.default().requirements.splitlines()}


def test_every_release_has_wheels_for_the_python_of_its_image() -> None:
    for version in VERSIONS:
        release = runtime_releases.choose(version)
        minor = int(release.debian.python.partition(".")[2])
        assert release.wheels.oldest <= minor <= release.wheels.newest, version
        assert release.wheels.glibc <= release.debian.glibc, version


@pytest.mark.parametrize(
    ("python", "glibc", "version"),
    [("3.6", "2.27", "1.10.0"), ("3.8", "2.31", "1.19.2"), ("3.10", "2.35", "1.23.2"), ("3.7", "2.17", "1.14.1")],
)
def test_the_newest_release_for_a_system_goes_by_its_python_and_glibc(python: str, glibc: str, version: str) -> None:
    newest = runtime_releases.newest_for(python, glibc)
    assert newest is not None
    assert newest.version == version
    assert runtime_releases.newest_for("3.2", glibc) is None


def test_a_board_gets_the_requested_release_then_its_systems_then_the_default() -> None:
    nano = profiles.load("jetson-nano")
    assert nano.system is not None
    system = nano.system.model_copy(update={"python": "3.6", "runtime": None})
    default = runtime_releases.of_board(nano.model_copy(update={"system": system}), None)
    assert default.release.is_default
    assert "Python 3.6 of JetPack 4.6 (L4T R32.7), Ubuntu 18.04 runs up to 1.10.0" in default.reason
    shipped = nano.model_copy(update={"system": system.model_copy(update={"runtime": "1.21.0"})})
    assert runtime_releases.of_board(shipped, None).release.version == "1.21.0"
    assert runtime_releases.of_board(shipped, "1.16").release.version == "1.16.3"


def test_each_release_has_an_image_of_its_own() -> None:
    nano = profiles.load("jetson-nano")
    names = {serving_image.reference_of(nano, runtime=runtime_releases.choose(version)) for version in VERSIONS}
    assert len(names) == len(VERSIONS)
    assert serving_image.reference_of(nano) in names
