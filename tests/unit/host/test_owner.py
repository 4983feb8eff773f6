"""Owners: told from all other processes, and gone only when the process certainly is."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edgesim.host.owner import Owner, is_left_behind


def gone() -> Owner:
    """An owner that has ended: the process id is of a process that lives, and that started at another time."""
    return replace(Owner.this_process(), start=1)


@pytest.mark.parametrize("form", ["label", "file_name"])
def test_an_owner_is_read_from_a_label_and_from_a_file_s_name(form: str) -> None:
    owner = Owner.this_process()
    assert Owner.named_in(f"edgesim-{getattr(owner, form)}-x7_k2") == owner
    assert not is_left_behind(getattr(owner, form))
    assert ":" not in owner.file_name


def test_an_owner_is_gone_once_its_process_has_ended() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    start = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    owner = replace(Owner.this_process(), pid=process.pid, start=start)
    assert not owner.is_gone
    process.kill()
    process.wait()
    assert owner.is_gone


def test_a_process_that_nobody_has_waited_for_yet_is_gone() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    start = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    owner = replace(Owner.this_process(), pid=process.pid, start=start)
    process.kill()
    assert process.stdout is not None
    process.stdout.read()  # until the process has closed it
    while not owner.is_gone:  # the kernel closes files a moment before the process is a zombie
        pass
    process.wait()


def test_a_process_id_that_another_process_has_now_is_gone() -> None:
    assert gone().is_gone


def test_all_processes_of_an_earlier_boot_are_gone() -> None:
    assert replace(Owner.this_process(), boot="00000000").is_gone


@pytest.mark.parametrize("change", [{"host": "00000000"}, {"namespace": 1}])
def test_a_process_that_cannot_be_seen_from_here_is_not_gone(change: dict[str, str]) -> None:
    assert not replace(gone(), **change).is_gone  # type: ignore[arg-type] # a field of its own type each


@pytest.mark.parametrize("text", ["", "edgesim-engine-43pfhequ", "host:1:2.00", "edgesim-1-2-3-4"])
def test_a_name_without_an_owner_is_nobody_s_leftover(text: str) -> None:
    assert Owner.named_in(text) is None
    assert not is_left_behind(text)
