"""CPU time as the kernel limits it: a quota of microseconds in each period."""

from dataclasses import dataclass

# The kernel's smallest quota and smallest period, and its longest period.
_LEAST_US = 1_000
_LONGEST_PERIOD_US = 1_000_000
# The period of a container's CPU limit. The kernel's default of 100 ms makes latency bimodal: a request either fits
# into the rest of a period, or waits for the next one.
CONTAINER_PERIOD_US = 10_000


@dataclass(frozen=True, kw_only=True)
class CpuQuota:
    """`quota_us` of CPU time, on all cores together, in each `period_us`."""

    quota_us: int
    period_us: int

    @classmethod
    def of_share(cls, share: float) -> "CpuQuota":
        """Return the quota with the shortest period in which the kernel gives `share` of one core (2.0: two cores).

        The period is short because a request that does not fit into the rest of a period waits for the next one.
        """
        period_us = min(max(round(_LEAST_US / share), _LEAST_US), _LONGEST_PERIOD_US)
        return cls(quota_us=max(round(share * period_us), _LEAST_US), period_us=period_us)

    @classmethod
    def of_container(cls, cpus: float) -> "CpuQuota":
        """Return the quota of a container, or a group of containers, that is limited to `cpus` cores."""
        return cls(quota_us=round(cpus * CONTAINER_PERIOD_US), period_us=CONTAINER_PERIOD_US)

    @property
    def share(self) -> float:
        """The CPU time as a share of one core; 2.0 means two cores."""
        return self.quota_us / self.period_us
