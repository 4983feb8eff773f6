"""A container's resources as the engine reports them, for an engine whose control groups are on another machine."""

import time
from collections.abc import Mapping
from typing import Any

import docker
import docker.errors

from edgesim.engine.api_errors import engine_call
from edgesim.host import cgroup
from edgesim.recording import Reading

# Seconds between two readings: each is a request to the engine.
READING_INTERVAL_S = 1.0


def read(api: docker.APIClient, container_id: str) -> Reading:
    """Return a reading of a container; all figures are None if the container has ended."""
    with engine_call():
        try:
            stats = api.stats(container_id, stream=False, one_shot=True)
        except docker.errors.APIError:  # the container has ended
            stats = {}
    return reading(stats)


def reading(stats: Mapping[str, Any]) -> Reading:
    """Return a reading of one container's statistics in the engine's API (``GET /containers/ID/stats``).

    The memory peak is None if the kernel has control groups of version 2; the count of kills is always None.
    """
    cpu, memory = stats.get("cpu_stats", {}), stats.get("memory_stats", {})
    throttling, details = cpu.get("throttling_data", {}), memory.get("stats", {})
    usage, throttled = cpu.get("cpu_usage", {}).get("total_usage"), throttling.get("throttled_time")
    moved = {row["op"].lower(): 0 for row in stats.get("blkio_stats", {}).get("io_service_bytes_recursive") or []}
    for row in stats.get("blkio_stats", {}).get("io_service_bytes_recursive") or []:
        moved[row["op"].lower()] += row["value"]
    networks = stats.get("networks", {}).values()
    return Reading(
        at_ns=time.monotonic_ns(),
        cpu_seconds=usage / 1e9 if usage is not None else None,
        memory_bytes=memory.get("usage"),
        memory_peak_bytes=memory.get("max_usage"),
        memory_peak_source="the engine's max_usage" if "max_usage" in memory else None,
        throttled_s=throttled / 1e9 if throttled is not None else None,
        memory_anon_bytes=details.get("anon", details.get("total_rss")),
        memory_cache_bytes=details.get("file", details.get("total_cache")),
        memory_unreclaimable_bytes=cgroup.unreclaimable(details),
        periods=throttling.get("periods"),
        throttled_periods=throttling.get("throttled_periods"),
        read_bytes=moved.get("read"),
        written_bytes=moved.get("write"),
        received_bytes=sum(network["rx_bytes"] for network in networks) if networks else None,
        sent_bytes=sum(network["tx_bytes"] for network in networks) if networks else None,
        threads=stats.get("pids_stats", {}).get("current"),
    )
