"""What the server reads about its board from inside: the core and the limits."""

from pathlib import Path

from edgesim.server import introspection


def test_core_is_named_by_its_part_number() -> None:
    cpuinfo = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd07\n"
    assert introspection.cpu_model(cpuinfo) == "cortex-a57"
    assert introspection.cpu_features(cpuinfo) == ["fp", "asimd"]


def test_unknown_core_is_its_part_number_and_no_core_is_none() -> None:
    assert introspection.cpu_model("CPU implementer\t: 0x41\nCPU part\t: 0xfff\n") == "arm part 0xfff"
    assert introspection.cpu_model("") is None


def test_limits_are_read_from_cgroup_version_2(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.swap.max").write_text("0\n")
    (tmp_path / "cpu.max").write_text("20000 10000\n")
    limits = (
        introspection.memory_limit_bytes(tmp_path),
        introspection.swap_limit_bytes(tmp_path),
        introspection.cpu_limit(tmp_path),
    )
    assert limits == (1000, 0, 2.0)


def test_limits_are_read_from_cgroup_version_1(tmp_path: Path) -> None:
    for controller in ("memory", "cpu"):
        (tmp_path / controller).mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1000\n")
    (tmp_path / "memory" / "memory.memsw.limit_in_bytes").write_text("1000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("15000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("10000\n")
    limits = (
        introspection.memory_limit_bytes(tmp_path),
        introspection.swap_limit_bytes(tmp_path),
        introspection.cpu_limit(tmp_path),
    )
    assert limits == (1000, 0, 1.5)


def test_no_limit_is_none(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert introspection.memory_limit_bytes(tmp_path) is None
    assert introspection.cpu_limit(tmp_path) is None
