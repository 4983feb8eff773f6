"""Commands that something ends at random moments: nothing of them stays, and nothing of others goes.

``EDGESIM_KILLS`` and ``EDGESIM_SEED`` are the number of attempts and the seed, by default 300 and 1.
"""

import os

import pytest

from benchmarks import kill_campaign


@pytest.mark.docker
@pytest.mark.emulation
@pytest.mark.timeout(6 * 3600)
def test_nothing_stays_of_commands_that_something_ends() -> None:
    if os.geteuid() != 0:
        pytest.skip("the campaign's own engine takes root")
    done = kill_campaign.run(int(os.environ.get("EDGESIM_KILLS", "300")), int(os.environ.get("EDGESIM_SEED", "1")))
    assert not [f"{each.victim.name}, {each.kind}: {fault}" for each in done for fault in each.faults]
