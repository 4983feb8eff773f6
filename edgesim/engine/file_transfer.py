"""Files into and out of a container that does not run, and so out of an image or a volume: through the engine's API."""

import io
from collections.abc import Iterable, Iterator
from typing import IO, Any

import docker.errors

from edgesim.engine.api_errors import engine_call


class Carrier:
    """A container that is never started; paths are its own."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def put(self, directory: str, archive: Iterable[bytes]) -> None:
        """Unpack a tar archive into a directory, over what is there."""
        with engine_call():
            self._container.put_archive(directory, iter(archive))

    def get(self, path: str) -> IO[bytes]:
        """A file or directory as a tar archive, to be read once."""
        with engine_call():
            chunks, _ = self._container.get_archive(path)
        return io.BufferedReader(_Chunks(chunks))

    def file(self, path: str) -> bytes | None:
        """As `get`, of a small file and whole; None where there is none."""
        with engine_call():
            try:
                chunks, _ = self._container.get_archive(path)
                return b"".join(chunks)
            except docker.errors.NotFound:
                return None

    def everything(self) -> IO[bytes]:
        """All files of its image as one tar archive, to be read once."""
        with engine_call():
            return io.BufferedReader(_Chunks(self._container.export()))


class _Chunks(io.RawIOBase):
    """Pieces of bytes as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            with engine_call():
                piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._left = piece
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count
