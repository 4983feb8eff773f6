"""Network limits: a rate and a delay for what a board sends, by the kernel's traffic control."""

import subprocess
from dataclasses import dataclass

from edgesim.profiles.surroundings import Network

_INTERFACE = "eth0"
# The longest time that a packet waits in the queue of a limited rate before it is dropped (tc-tbf(8)).
_QUEUE_MS = 400
_BURST_BYTES = 32 << 10


@dataclass(frozen=True)
class Shaped:
    """The network limits that are in effect; None for one that is not, and `shortfalls` say why in sentences."""

    rate_bytes_per_s: int | None = None
    delay_ms: float | None = None
    shortfalls: tuple[str, ...] = ()


OUT_OF_REACH = Shaped(
    shortfalls=("network: not limited, since the engine is on another machine, or runs without root",)
)


def shape(pid: int, network: Network) -> Shaped:
    """Limit the rate, and delay the packets, of what a container sends.

    The kernel's traffic control does both in the network namespace of process `pid`: tbf limits the rate, netem delays.
    This needs root on this host, and the engine on this host.
    """
    shortfalls, parent = [], ["root", "handle", "1:"]
    rate, delay = network.rate_bytes_per_s, network.delay_ms
    if delay is not None:
        if problem := _tc(pid, *parent, "netem", "delay", f"{delay}ms"):
            shortfalls.append(f"network delay: {problem}")
            delay = None
        else:
            parent = ["parent", "1:", "handle", "10:"]
    if rate is not None:
        limits = ["rate", f"{rate * 8}bit", "burst", str(_BURST_BYTES), "latency", f"{_QUEUE_MS}ms"]
        if problem := _tc(pid, *parent, "tbf", *limits):
            shortfalls.append(f"network rate: {problem}")
            rate = None
    return Shaped(int(rate) if rate is not None else None, delay, tuple(shortfalls))


def _tc(pid: int, *words: str) -> str:
    """Add a queueing discipline; return an empty string, or why it cannot be added."""
    command = ["nsenter", "--target", str(pid), "--net", "tc", "qdisc", "add", "dev", _INTERFACE, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not limited: {error}"
    if done.returncode == 0:
        return ""
    problem = " ".join(done.stderr.split()) or f"tc ended with {done.returncode}"
    return f"not limited, since root or the kernel's module is missing: {problem}"
