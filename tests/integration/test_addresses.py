"""edgesim sends nothing to an address that nobody named: strace sees each connection of a command and its children."""

import ipaddress
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgesim.engine.docker_engine import Engine
from edgesim.errors import PackagesUnavailable
from edgesim.images import python_packages, runtime_releases
from tests.integration.conftest import COMMAND, edgesim

_CALLS = "trace=connect,sendto,sendmsg,sendmmsg"
_ADDRESS = re.compile(r'inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"')


def addresses(command: Sequence[str], directory: Path) -> set[str]:
    """Run a command, and return the network addresses of other machines that it or a child spoke to."""
    # The project needs strace for nothing else, and its set-up does not install it.
    strace = shutil.which("strace") or pytest.skip("strace sees the connections: it is not installed")
    trace = directory / "trace"
    done = subprocess.run(
        [strace, "-f", "-qq", "-e", _CALLS, "-o", trace, *command], cwd=directory, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {each for each in _ADDRESS.findall(trace.read_text()) if not ipaddress.ip_address(each).is_loopback}


def test_an_address_that_a_program_connects_to_is_seen(tmp_path: Path) -> None:
    # A datagram socket sends nothing when it is connected; the address is one for documents.
    program = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    assert addresses([sys.executable, "-c", program], tmp_path) == {"192.0.2.1"}


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "jetson-nano", "digits"),
        ("check", "jetson-nano", "digits", "--engine", "local", "--requests", "3"),
    ],
    ids=" ".join,
)
def test_command_without_a_container_speaks_to_this_host_alone(command: tuple[str, ...], tmp_path: Path) -> None:
    assert addresses([*COMMAND, *command], tmp_path) == set()


@pytest.mark.docker
def test_run_with_a_container_and_its_report_speak_to_this_host_and_the_container_alone(
    desk: Path, tmp_path: Path
) -> None:
    # The index of pip is named by pip's configuration: what comes from there is fetched before.
    assert edgesim("build", desk).returncode == 0
    try:
        python_packages.fetch_for_this_host(runtime_releases.default())
    except PackagesUnavailable as error:
        # Without pip's index nothing is fetched, and the run below would ask the index.
        pytest.skip(f"the packages of the reference cannot be fetched: {error.problem}")
    run = [*COMMAND, "run", str(desk), "digits", "--requests", "3", "--duration", "0", "-o", "result.json"]
    subnets = [
        ipaddress.ip_network(each["Subnet"])
        for network in Engine().client.networks.list()
        for each in network.attrs["IPAM"]["Config"] or ()
    ]
    spoken_to = map(ipaddress.ip_address, addresses(run, tmp_path))
    assert [each for each in spoken_to if not any(each in subnet for subnet in subnets)] == []
    assert addresses([*COMMAND, "report", "result.json", "-o", "page.html"], tmp_path) == set()
