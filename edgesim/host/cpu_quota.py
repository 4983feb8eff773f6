"""A share of the CPU as the kernel takes it: so many microseconds in each period of so many."""

from dataclasses import dataclass

# The kernel takes no less of either, and no longer period.
_LEAST_US = 1_000
_LONGEST_PERIOD_US = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Bandwidth:
    """`quota_us` of CPU time, on all cores together, in each `period_us`."""

    quota_us: int
    period_us: int

    @classmethod
    def of(cls, share: float) -> "Bandwidth":
        """The shortest period in which the kernel gives `share` of one core (2.0 is two cores).

        Short, because a request that does not fit into what is left of a period waits for the next one.
        """
        period_us = min(max(round(_LEAST_US / share), _LEAST_US), _LONGEST_PERIOD_US)
        return cls(quota_us=max(round(share * period_us), _LEAST_US), period_us=period_us)

    @property
    def share(self) -> float:
        """Of one core."""
        return self.quota_us / self.period_us
