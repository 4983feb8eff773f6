"""The way from the board to its clients: a rate and a delay, where this host's kernel has what it takes."""

import subprocess

from edgesim.profile.schema import Network

_INTERFACE = "eth0"
# What may wait in the queue of a limited rate before it is dropped (tc-tbf(8)).
_QUEUE_MS = 400
_BURST_BYTES = 32 << 10


def shape(pid: int, network: Network) -> tuple[str, ...]:
    """Hold what a container sends to a rate and a delay; what this host cannot do of it, in sentences.

    By the kernel's traffic control in the network of process `pid` (tbf for the rate, netem for the delay), which takes
    root on this host, and the engine on it.
    """
    shortfalls, parent = [], ["root", "handle", "1:"]
    if network.delay_ms is not None:
        problem = _tc(pid, *parent, "netem", "delay", f"{network.delay_ms}ms")
        if problem:
            shortfalls.append(f"network delay: {problem}")
        else:
            parent = ["parent", "1:", "handle", "10:"]
    if network.rate_bytes_per_s is not None:
        rate = f"{network.rate_bytes_per_s * 8}bit"
        limits = ["burst", str(_BURST_BYTES), "latency", f"{_QUEUE_MS}ms"]
        problem = _tc(pid, *parent, "tbf", "rate", rate, *limits)
        if problem:
            shortfalls.append(f"network rate: {problem}")
    return tuple(shortfalls)


def _tc(pid: int, *words: str) -> str:
    """Add a queueing discipline; empty, or why not."""
    command = ["nsenter", "--target", str(pid), "--net", "tc", "qdisc", "add", "dev", _INTERFACE, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not limited: {error}"
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.split()) or f"tc ended with {done.returncode}"
    return f"not limited, for want of root or of the kernel's module: {said}"
