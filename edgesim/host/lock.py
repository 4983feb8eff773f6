"""Work that one process at a time does, such as building the image of a name."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgesim import paths
from edgesim.host import file_lock


@contextmanager
def exclusive(work: str, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let one process of this user at a time into the block for `work`, such as an image's name.

    The kernel releases the lock when the process ends, however it ends. Where the cache cannot be written, there is no
    lock: whatever the work writes then says so.

    Args:
        waiting: called if another process is in the block.
    """
    directory = paths.cache_directory() / "locks"
    with contextlib.ExitStack() as stack:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((directory / hashlib.sha256(work.encode()).hexdigest()[:16]).open("w"))
        except OSError:
            yield
            return
        try:
            file_lock.take(file, wait=False)
        except BlockingIOError:
            waiting()
            file_lock.take(file, wait=True)
        yield
