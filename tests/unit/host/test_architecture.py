"""The names of an architecture."""

from edgesim.host.architecture import architecture_of, machine_of


def test_the_two_names_of_an_architecture_are_each_others_inverse() -> None:
    assert [machine_of(name) for name in ("arm64", "amd64")] == ["aarch64", "x86_64"]
    assert [architecture_of(machine_of(name)) for name in ("arm64", "amd64")] == ["arm64", "amd64"]


def test_an_unknown_name_stays_as_it_is() -> None:
    assert (machine_of("riscv64"), architecture_of("riscv64"), architecture_of("arm64")) == ("riscv64",) * 2 + (
        "arm64",
    )
