"""Libraries of custom operations beside a model: which files there are, and whether they are for the board."""

from pathlib import Path

import pytest

from edgesim.boards.launch import Launch
from edgesim.errors import ModelError
from edgesim.images import runtime_releases
from edgesim.models import custom_libraries, repository
from edgesim.options import BoardOptions
from edgesim.profiles import load
from tests.support import custom_operations

BOTH = "libraries: [{arm64: lib/arm64/ops.so, amd64: lib/amd64/ops.so}]"


def elf(machine: int, *, kind: int = 3, bits: int = 2) -> bytes:
    """Return the beginning of an ELF file."""
    return b"\x7fELF" + bytes([bits, 1]) + bytes(10) + kind.to_bytes(2, "little") + machine.to_bytes(2, "little")


ARM64, AMD64 = elf(0xB7), elf(0x3E)


def written(repository: Path, configuration: str, **files: bytes) -> Path:
    directory = custom_operations.model(repository, configuration)
    for architecture, content in files.items():
        path = directory / "lib" / architecture / "ops.so"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return directory


def test_builds_for_both_architectures_go_along_and_change_the_digest(tmp_path: Path) -> None:
    written(tmp_path, BOTH, arm64=ARM64, amd64=AMD64)
    model = repository.find("net", tmp_path)
    assert model.configuration is not None
    names = {path.relative_to(model.configuration.directory).as_posix() for path in model.configuration.paths}
    assert names == {"config.yaml", "lib/arm64/ops.so", "lib/amd64/ops.so"}
    for architecture in ("arm64", "amd64"):
        (file,) = custom_libraries.files(model, architecture)
        assert (file.name, file.problem) == (f"lib/{architecture}/ops.so", "")
    (tmp_path / "net" / "lib" / "arm64" / "ops.so").write_bytes(ARM64 + b"x")
    changed = repository.find("net", tmp_path).configuration
    assert changed is not None
    assert changed.sha256 != model.configuration.sha256
    targets = {mount.target for mount in Launch.of(load("jetson-nano"), [model], BoardOptions(engine="local")).mounts}
    assert "/models/net/lib/arm64/ops.so" in targets


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"arm64": AMD64}, "built for amd64, and the board's server is arm64"),
        ({"arm64": elf(0x28, bits=1)}, "built for arm, and"),
        ({"arm64": elf(0xB7, kind=2)}, "no shared library"),
        ({"arm64": b"MZ" + bytes(64)}, "no ELF file"),
        ({"arm64": b""}, "no ELF file"),
        ({"amd64": AMD64}, "no such file in the model's directory"),
    ],
)
def test_library_that_is_not_for_the_board_is_refused_with_its_fix(
    tmp_path: Path, files: dict[str, bytes], problem: str
) -> None:
    written(tmp_path, BOTH, **files)
    model = repository.find("net", tmp_path)
    with pytest.raises(ModelError, match=problem) as raised:
        custom_libraries.require(model, "arm64")
    assert raised.value.fix is not None
    assert "arm64: PATH" in raised.value.fix


def test_architecture_without_a_build_is_named(tmp_path: Path) -> None:
    written(tmp_path, "libraries: [{amd64: lib/amd64/ops.so}]", amd64=AMD64)
    with pytest.raises(ModelError, match="no build for arm64"):
        custom_libraries.require(repository.find("net", tmp_path), "arm64")


def test_library_is_not_loaded_on_this_host_unless_the_user_names_it(tmp_path: Path) -> None:
    directory = written(tmp_path, BOTH, arm64=ARM64, amd64=AMD64)
    model, path = repository.find("net", tmp_path), directory / "lib" / "amd64" / "ops.so"
    with pytest.raises(ModelError, match="with your rights") as raised:
        custom_libraries.require_named(model, "amd64", ())
    assert raised.value.fix is not None
    assert raised.value.fix.startswith(f"if you trust it: `host_libraries={path}`")
    custom_libraries.require_named(model, "amd64", (str(path),))


def test_package_by_name_is_in_the_image_which_then_has_another_name(tmp_path: Path) -> None:
    directory = custom_operations.model(tmp_path, "libraries: [onnxruntime-extensions]")
    model = repository.find("net", directory.parent)
    assert custom_libraries.packages(model) == ["onnxruntime-extensions"]
    assert [file.problem for file in custom_libraries.files(model, "arm64")] == [""]
    launch = Launch.of(load("jetson-nano"), [model], BoardOptions(), context=object())  # type: ignore[arg-type]
    assert launch.runtime is not None
    assert "onnxruntime-extensions==" in launch.runtime.release.requirements
    assert launch.runtime.release.requirements != runtime_releases.default().requirements
    assert launch.runtime.release.is_default  # of ONNX Runtime itself


@pytest.mark.parametrize(
    ("configuration", "problem"),
    [
        ("libraries: ops.so", "expected a list"),
        ("libraries: [../ops.so]", "not in the model's directory"),
        ("libraries: [/usr/lib/ops.so]", "not in the model's directory"),
        ("libraries: [{arm65: ops.so}]", "did you mean 'arm64'"),
        ("libraries: [{}]", "expected a file"),
        ("libraries: [5]", "expected a file"),
    ],
)
def test_wrong_words_about_libraries_are_refused(tmp_path: Path, configuration: str, problem: str) -> None:
    custom_operations.model(tmp_path, configuration)
    model = repository.find("net", tmp_path)
    with pytest.raises(ModelError, match=problem):
        model.check_configuration(board_cores=4)


def test_library_in_tritons_form_of_the_configuration_is_the_same(tmp_path: Path) -> None:
    directory = written(tmp_path, "", arm64=ARM64)
    (directory / "config.yaml").unlink()
    (directory / "config.pbtxt").write_text('model_operations { op_library_filename: ["lib/arm64/ops.so"] }')
    (file,) = custom_libraries.files(repository.find("net", tmp_path), "arm64")
    assert (file.name, file.problem) == ("lib/arm64/ops.so", "")
    (directory / "config.pbtxt").write_text('model_operations { op_library_filename: ["../ops.so"] }')
    with pytest.raises(ModelError, match="in the model's directory"):
        list(custom_libraries.files(repository.find("net", tmp_path), "arm64"))
