"""The releases of ONNX Runtime: which a text names, and what an image for each of them needs."""

import pytest

from edgesim import profiles
from edgesim.errors import UsageError
from edgesim.images import runtime_releases, serving_image
from edgesim.images.runtime_releases import VERSIONS
from edgesim.profiles import DeviceProfile


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
        ("1.9.0", "edgesim makes no image for ONNX Runtime before 1.10"),
        ("1.17.2", "no such release of ONNX Runtime has a wheel; 1.17 has 1.17.0, 1.17.1, 1.17.3"),
        ("1.99", "no such release of ONNX Runtime has a wheel; they go from 1.10.0 to "),
        ("newest", "'newest' is not a version"),
        ("1.3..1.5", "no release in this range"),
        ("1.3..x", "'x' is not a version"),
        (",", "is not a version"),
        ("1.16.3; rm -rf /", "is not a version"),
    ],
)
def test_a_text_that_names_no_release_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"^`runtimes=") as caught:
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


def board(**system: str | None) -> DeviceProfile:
    """A Jetson Nano with a system of its own."""
    nano = profiles.load("jetson-nano")
    assert nano.system is not None
    return nano.model_copy(update={"system": nano.system.model_copy(update={"vendor_runtime": None, **system})})


def test_a_board_gets_the_requested_release_then_its_systems_then_the_default() -> None:
    shipped = board(runtime="1.21.0")
    assert runtime_releases.of_board(shipped, "1.16").release.version == "1.16.3"
    assert runtime_releases.of_board(shipped, None).release.version == "1.21.0"
    assert runtime_releases.of_board(board(), None).release.is_default


@pytest.mark.parametrize(
    ("system", "version", "words"),
    [
        ({"runtime": "1.21.0"}, "1.21.0", "that of JetPack 4.6"),
        ({"vendor_runtime": "1.11.0"}, "1.11.0", "the newest that the vendor publishes for JetPack 4.6"),
        ({}, "1.10.0", "the newest with a wheel for JetPack 4.6"),
    ],
)
def test_the_release_that_a_board_usually_has_is_named_and_can_be_had(
    system: dict[str, str], version: str, words: str
) -> None:
    usual = runtime_releases.of_board(board(**system), "board")
    assert usual.release.version == version
    assert usual.reason.startswith(words)
    assert "for 3.6, with the same operators" in usual.reason  # no image has this Python
    if "runtime" not in system:
        assert f"outside of one the board has {version}" in runtime_releases.of_board(board(**system), None).reason


def test_a_board_that_does_not_say_what_its_system_runs_has_no_release_of_its_own() -> None:
    unknown = board(python=None)
    assert runtime_releases.usual(unknown) is None
    assert runtime_releases.of_board(unknown, None).reason == "edgesim's default, in a container"
    with pytest.raises(UsageError, match="does not state the release of its system"):
        runtime_releases.of_board(unknown, "board")


def test_every_board_that_comes_with_edgesim_has_a_release_that_can_be_served() -> None:
    for name in profiles.names():
        usual = runtime_releases.usual(profiles.load(name))
        assert usual is None or usual.release.version in VERSIONS, name


def test_each_release_has_an_image_of_its_own() -> None:
    nano = profiles.load("jetson-nano")
    names = {serving_image.reference_of(nano, runtime=runtime_releases.choose(version)) for version in VERSIONS}
    assert len(names) == len(VERSIONS)
    assert serving_image.reference_of(nano) in names


def test_example_of_a_single_release_is_no_range() -> None:
    with pytest.raises(UsageError) as caught:
        runtime_releases.choose("newest")
    assert caught.value.fix == "a version such as 1.16.3"
    with pytest.raises(UsageError) as caught:
        runtime_releases.versions("newest")
    assert caught.value.fix == "a version such as 1.16.3, or 1.14..1.18"


def test_a_range_without_an_end_goes_to_the_oldest_or_newest_release() -> None:
    assert runtime_releases.versions("..1.12") == ["1.10.0", "1.11.1", "1.12.1"]
    assert runtime_releases.versions("1.30..")[0] == "1.30.0"
    assert runtime_releases.versions("1.30..")[-1] == runtime_releases.versions("all")[-1]
    assert runtime_releases.versions("..") == runtime_releases.versions("all")
