"""What engines that people have answer about themselves: recorded answers, shortened to what is read."""

import platform
import socket
from typing import Any

import pytest

from edgesim.engine.engine_facts import EngineFacts

DOCKER = {"Version": "29.4.1", "Components": [{"Name": "Engine"}, {"Name": "containerd"}, {"Name": "runc"}]}
# Of Debian 13's Podman, asked through its socket.
PODMAN = {"Version": "5.4.2", "Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}]}
ANSWER = {
    "NCPU": 8,
    "MemTotal": 16 << 30,
    "DockerRootDir": "/var/lib/docker",
    "Architecture": "x86_64",
    "Name": "vm",
    "KernelVersion": "6.18.44",
    "OperatingSystem": "Debian GNU/Linux 13 (trixie)",
    "CgroupDriver": "systemd",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    "MemoryLimit": True,
    "SwapLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
    "CPUSet": True,
}
# From `docker info` as users of each have shown it in public.
DESKTOP = {"OperatingSystem": "Docker Desktop", "Name": "docker-desktop"}
SETTINGS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    (DESKTOP | {"KernelVersion": "6.12.76-linuxkit"}, "Docker Desktop"),
    (DESKTOP | {"KernelVersion": "6.6.87.2-microsoft-standard-WSL2"}, "Docker Desktop"),
    (
        {"OperatingSystem": "OrbStack", "Name": "orbstack", "KernelVersion": "6.17.8-orbstack-00308-g8f9c941121b1"},
        "OrbStack",
    ),
    ({"OperatingSystem": "Ubuntu 24.04.2 LTS", "Name": "colima", "Architecture": "aarch64"}, "Colima"),
    ({"Name": "colima-arm"}, "Colima"),
    ({"OperatingSystem": "Ubuntu 24.04.4 LTS", "KernelVersion": "6.6.87.2-microsoft-standard-WSL2"}, "WSL2"),
    ({"OperatingSystem": "Ubuntu Core 22", "DockerRootDir": "/var/snap/docker/common/var-lib-docker"}, "snap"),
]


@pytest.mark.parametrize(("answer", "setting"), SETTINGS)
def test_engine_says_which_program_runs_it(answer: dict[str, Any], setting: str | None) -> None:
    assert EngineFacts.of(DOCKER, ANSWER | answer).setting == setting


def test_podman_behind_dockers_api_is_named() -> None:
    assert EngineFacts.of(PODMAN, ANSWER).title == "Podman 5.4.2"
    assert EngineFacts.of(DOCKER, ANSWER).title == "Docker 29.4.1"


def test_engine_without_root_says_what_is_not_delegated_to_it() -> None:
    answer = {"SecurityOptions": ["name=rootless"], "CpuCfsQuota": False, "CPUSet": False}
    facts = EngineFacts.of(DOCKER, ANSWER | answer)
    assert (facts.rootless, facts.unlimited) == (True, ("CPU", "cores"))


@pytest.mark.parametrize(
    ("delegated", "unlimited"),
    [
        ("memory pids", ("CPU", "cores", "storage rates")),
        ("cpu memory pids", ("cores", "storage rates")),  # as Debian 12 delegates
        ("cpuset cpu io memory pids", ()),
    ],
)
def test_docker_without_root_says_what_systemd_delegates_to_it(delegated: str, unlimited: tuple[str, ...]) -> None:
    """As Docker 26.1.5 answers on Debian 12 with control groups v2, shortened."""
    has = delegated.split()
    warnings = [
        *(["WARNING: No cpu cfs quota support", "WARNING: No cpu shares support"] if "cpu" not in has else []),
        *(["WARNING: No cpuset support"] if "cpuset" not in has else []),
        *(["WARNING: No io.weight support", "WARNING: No io.max (rbps) support"] if "io" not in has else []),
        "WARNING: bridge-nf-call-iptables is disabled",
    ]
    answer = {
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
        "CgroupVersion": "2",
        "CpuCfsQuota": "cpu" in has,
        "CPUSet": "cpuset" in has,
        "Warnings": warnings,
    }
    facts = EngineFacts.of(DOCKER, ANSWER | answer)
    assert (facts.rootless, facts.limits_nothing, facts.unlimited) == (True, False, unlimited)


def test_docker_on_control_groups_v1_says_that_it_cannot_limit_storage_rates() -> None:
    words = [
        "WARNING: No blkio throttle.read_bps_device support",
        "WARNING: No blkio throttle.read_iops_device support",
    ]
    assert EngineFacts.of(DOCKER, ANSWER | {"Warnings": words}).unlimited == ("storage rates",)
    assert EngineFacts.of(DOCKER, ANSWER | {"Warnings": words[1:]}).unlimited == ()
    assert EngineFacts.of(DOCKER, ANSWER | {"Warnings": None}).unlimited == ()


@pytest.mark.parametrize("answer", [{"CgroupVersion": "1"}, {"CgroupVersion": "1", "CgroupDriver": "none"}])
def test_engine_without_root_limits_nothing_on_control_groups_v1_whatever_it_reports(answer: dict[str, str]) -> None:
    facts = EngineFacts.of(PODMAN, ANSWER | answer | {"SecurityOptions": ["name=seccomp", "name=rootless"]})
    assert facts.limits_nothing
    assert facts.unlimited == ("memory", "swap", "CPU", "processes", "cores", "storage rates")
    assert EngineFacts.of(PODMAN, ANSWER | answer).unlimited == ()
    assert not EngineFacts.of(PODMAN, ANSWER | answer).limits_nothing


def test_podman_4_3_without_root_on_control_groups_v2_is_recognised_and_its_denied_limits_are_not_believed() -> None:
    """The answer of Podman 4.3.1 on Debian 12, whose kernel had the limit of CPU time all the same."""
    answer = {
        "CgroupVersion": "2",
        "CgroupDriver": "systemd",
        "MemoryLimit": True,
        "SwapLimit": False,
        "CpuCfsQuota": False,
        "CPUSet": False,
        "PidsLimit": True,
        "Rootless": True,
        "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default"],
    }
    facts = EngineFacts.of(PODMAN, ANSWER | answer)
    assert (facts.rootless, facts.limits_nothing, facts.unlimited) == (True, False, ())


@pytest.mark.parametrize(
    ("controllers", "unlimited"),
    [
        (["cpuset", "cpu", "io", "memory", "pids"], ()),
        (["cpu", "memory", "pids"], ("cores", "storage rates")),  # as Debian 13 delegates
        (["memory", "pids"], ("CPU", "cores", "storage rates")),
        (["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"], ()),  # as root
    ],
)
def test_podman_on_control_groups_v2_can_limit_what_its_own_api_has_controllers_for(
    controllers: list[str], unlimited: tuple[str, ...]
) -> None:
    """The answers of Podman 5.4.2 on Debian 13: Docker's API denies limits of CPU time and cores in each case."""
    answer = {"CgroupVersion": "2", "SwapLimit": False, "CpuCfsQuota": False, "CPUSet": False, "Rootless": True}
    facts = EngineFacts.of(PODMAN, ANSWER | answer, controllers=controllers)
    assert facts.unlimited == unlimited
    assert EngineFacts.of(PODMAN, ANSWER | answer).unlimited == (), "the limits that are read back tell"
    assert EngineFacts.of(DOCKER, ANSWER, controllers=controllers).unlimited == ()


def test_addresses_of_containers_of_an_engine_without_root_are_not_this_hosts() -> None:
    here = {"Name": socket.gethostname(), "KernelVersion": platform.release()}
    assert EngineFacts.of(DOCKER, ANSWER | here).shares_network
    without_root = EngineFacts.of(DOCKER, ANSWER | here | {"SecurityOptions": ["name=rootless"]})
    assert (without_root.on_this_host, without_root.shares_network) == (True, False)


def test_engine_that_does_not_report_what_it_can_limit_is_not_said_to_lack_it() -> None:
    answer = {key: value for key, value in ANSWER.items() if not isinstance(value, bool)}
    assert EngineFacts.of(DOCKER, answer).unlimited == ()


def test_store_of_images_in_containerd_is_recognised() -> None:
    stored = {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
    assert EngineFacts.of(DOCKER, ANSWER | stored).in_containerd
    assert not EngineFacts.of(DOCKER, ANSWER | {"DriverStatus": [["Backing Filesystem", "extfs"]]}).in_containerd
    assert not EngineFacts.of(PODMAN, ANSWER | {"DriverStatus": None, "SecurityOptions": None}).in_containerd


def test_engine_in_a_virtual_machine_is_not_on_this_host() -> None:
    assert not EngineFacts.of(DOCKER, ANSWER | DESKTOP).on_this_host
