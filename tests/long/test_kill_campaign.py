"""Commands that something ends at random moments: nothing of them stays, and nothing of others goes.

``EDGESIM_KILLS`` and ``EDGESIM_SEED`` are the number of attempts and the seed, by default 300 and 1.
"""

import os
from pathlib import Path

import pytest

from benchmarks import kill_campaign


@pytest.mark.docker
@pytest.mark.emulation
@pytest.mark.timeout(6 * 3600)
def test_nothing_stays_of_commands_that_something_ends(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the campaign's own engine takes root")
    count, seed = int(os.environ.get("EDGESIM_KILLS", "300")), int(os.environ.get("EDGESIM_SEED", "1"))
    done = kill_campaign.run(count, seed, tmp_path / "kills.csv")
    assert len(done) == count
    assert not [f"{each.command}, {each.kind}: {each.faults}" for each in done if each.faults]
