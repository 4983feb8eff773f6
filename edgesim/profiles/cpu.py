"""The board's processor: clusters of cores, their clocks, caches and bandwidth."""

from typing import Annotated

from pydantic import AfterValidator, Field

from edgesim.profiles import cores
from edgesim.profiles.part import Part, Size

# A core in any case, read as the vendor spells it; a name that is not in the table of cores stays as it is.
CoreName = Annotated[str, AfterValidator(cores.title)]


class Caches(Part):
    """Caches of one core; `l2_cores` cores share `l2_bytes`, and all cores share `l3_bytes`."""

    l1i_bytes: Size | None = None
    l1d_bytes: Size | None = None
    l2_bytes: Size | None = None
    l2_cores: Annotated[int, Field(ge=1)] | None = None
    l3_bytes: Size | None = None


class Bandwidth(Part):
    """Bytes per second that one core copies, fills and reads, as measured with tinymembench."""

    copy_bytes_per_s: Size | None = None
    fill_bytes_per_s: Size | None = None
    read_bytes_per_s: Size | None = None


class Cluster(Part):
    """Cores of one design at one clock.

    Attributes:
        core: name of the core, see `edgesim.profiles.cores`: ``Cortex-A57``; a file may write it in any case.
        cores: how many there are.
        features: instruction-set features, as /proc/cpuinfo names them.
        fp32_flops_per_cycle: the peak of one core, a multiply-add counting as two.
    """

    core: CoreName
    cores: Annotated[int, Field(ge=1, le=1024)]
    clock_hz: Annotated[int, Field(ge=1_000_000, le=10_000_000_000)]
    features: tuple[str, ...] = ()
    caches: Caches = Caches()
    # At most two multiply-adds of 512 bits a cycle: no core has more.
    fp32_flops_per_cycle: Annotated[int, Field(ge=1, le=64)] | None = None
    bandwidth: Bandwidth = Bandwidth()


class Cpu(Cluster):
    """The board's processor: the cluster that models run on, and its `others`.

    Attributes:
        brand: on x86, the processor's name in its brand string (CPUID): ``N100`` in ``Intel(R) N100``. A machine is
            taken for the board only if its processor has this name.
    """

    brand: Annotated[str, Field(pattern=r"^\S[^\x00-\x1f]+\S$", max_length=200)] | None = None
    others: tuple[Cluster, ...] = ()

    def on(self, core: str | None) -> "Cpu":
        """Return the processor with models on the cluster of another core; None changes nothing."""
        if core is None or cores.same(core, self.core):
            return self
        (chosen,) = (cluster for cluster in self.others if cores.same(cluster.core, core))
        main = Cluster.model_validate(self.model_dump(exclude={"others", "brand"}))
        rest = tuple(cluster for cluster in self.others if cluster is not chosen)
        facts = chosen.model_dump() | {"features": chosen.features or self.features}
        return Cpu.model_validate({**facts, "brand": self.brand, "others": (main, *rest)})
