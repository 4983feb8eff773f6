"""The counter's side of the plugin's socket; tests/integration/test_count.py has the real plugin."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgesim.counting.counter import Counter, Mark
from edgesim.counting.counts import Counts
from edgesim.counting.emulator import SOCKET
from edgesim.errors import EmulatorCrashed


@contextmanager
def _plugin(directory: Path, answer: Callable[[str], bytes]) -> Iterator[Counter]:
    """Answer each question on the plugin's socket until the block ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / SOCKET))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    question = connection.recv(100).decode()
                    if not question:
                        return
                    connection.sendall(answer(question))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Counter(directory)
        finally:
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(directory / SOCKET))
            thread.join()


def test_total_is_the_sum_of_all_threads(tmp_path: Path) -> None:
    answer = b"thread 0 1 2 3 4 5 6 7\nthread 1 10 20 30 40 50 60 70\nend\n"
    with _plugin(tmp_path, lambda _: answer) as counter:
        assert counter.total() == Counts(11, 22, 33, 44, 55, 66, 77)


def test_marks_of_earlier_answers_are_kept(tmp_path: Path) -> None:
    answers = [b"mark 1 1 0 0 0 0 0 0 2 0 0 0 0 0 0\nend\n", b"mark 2 3 0 0 0 0 0 0 4 0 0 0 0 0 0\nend\n"]
    with _plugin(tmp_path, lambda _: answers.pop(0)) as counter:
        counter.marks()
        assert counter.marks() == [
            Mark("load begins", Counts(vector=1), Counts(vector=2)),
            Mark("load ends", Counts(vector=3), Counts(vector=4)),
        ]


def test_dropped_marks_are_an_error(tmp_path: Path) -> None:
    with (
        _plugin(tmp_path, lambda _: b"lost 7\nend\n") as counter,
        pytest.raises(EmulatorCrashed, match="dropped 7 marks"),
    ):
        counter.marks()


def test_answer_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    with (
        _plugin(tmp_path, lambda _: b"thread 0 1 2 3 4 5 6 7\n") as counter,
        pytest.raises(EmulatorCrashed, match="in the middle of an answer"),
    ):
        counter.threads()


def test_emulator_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmulatorCrashed, match="does not answer"):
        Counter(tmp_path).threads()


def test_socket_is_reached_below_a_long_path(tmp_path: Path) -> None:
    directory = tmp_path / ("a" * 150)
    directory.mkdir()
    short = tmp_path / "short"
    short.symlink_to(directory)
    with _plugin(short, lambda _: b"end\n"):
        assert Counter(directory).threads() == {}
