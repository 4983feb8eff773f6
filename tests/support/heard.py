"""A listener that keeps what it hears of a job."""

import threading

from edgesim.progress import Progress


class Heard:
    """Keeps stages and notes as lines, and the last progress.

    `advanced` is set once progress was heard.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.progress = Progress()
        self.advanced = threading.Event()

    def begin(self, stage: str, doing: str) -> None:
        self.lines.append(f"{stage}: {doing}")

    def advance(self, progress: Progress) -> None:
        self.progress = progress
        self.advanced.set()

    def note(self, text: str) -> None:
        self.lines.append(text)

    def end(self, stage: str, seconds: float) -> None:
        self.lines.append(f"{stage} {seconds:g}")
