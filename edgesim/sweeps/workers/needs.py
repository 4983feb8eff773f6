"""What a cell needs of the machine that runs it, as resources that workers declare."""

from edgesim.jobs.worker_resources import BOARD, COUNTING, ENGINE, GPU, native
from edgesim.sweeps.cell import Cell


def needs(cell: Cell) -> frozenset[str]:
    """Return the resources that a cell needs, one of each; a prediction needs none."""
    if cell.job == "predict":
        return frozenset()
    options, profile = cell.options.board, cell.profile
    found = {BOARD}
    if options.engine != "local":
        found.add(ENGINE)
    if options.execution in ("native", "same-architecture"):
        found.add(native(profile.architecture))
        if options.execution == "native" and not profile.has_core_of_host:
            found.add(profile.name)
    elif options.execution != "scaled" and options.engine != "local":
        found.add(profile.architecture)
    if options.count:
        found.add(COUNTING)
    if (options.gpus or profile.image.gpus) == "all":
        found.add(GPU)
    return frozenset(found)


def in_words(resources: frozenset[str]) -> str:
    """Return resources as the option of ``dask worker`` declares them: ``board=1,engine=1``."""
    return ",".join(f"{name}=1" for name in sorted(resources))
