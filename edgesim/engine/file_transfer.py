"""Files into and out of a container that does not run, and so out of an image or a volume, through the engine's API."""

import io
from collections.abc import Iterable, Iterator
from typing import IO, Any

import docker.errors

from edgesim.engine.api_errors import engine_call


class FileTransfer:
    """A container that is never started, through which files are copied; all paths are the container's."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def put(self, directory: str, archive: Iterable[bytes]) -> None:
        """Unpack a tar archive into a directory, over the files that are in it."""
        with engine_call():
            self._container.put_archive(directory, iter(archive))

    def get(self, path: str) -> IO[bytes]:
        """Return a file or directory as a tar archive, which can be read once."""
        with engine_call():
            chunks, _ = self._container.get_archive(path)
        return io.BufferedReader(_Chunks(chunks))

    def get_small(self, path: str) -> bytes | None:
        """Return a small file as the bytes of a tar archive; None if there is no such file."""
        with engine_call():
            try:
                chunks, _ = self._container.get_archive(path)
                return b"".join(chunks)
            except docker.errors.NotFound:
                return None

    def get_everything(self) -> IO[bytes]:
        """Return all files of the image as one tar archive, which can be read once."""
        with engine_call():
            return io.BufferedReader(_Chunks(self._container.export()))


class _Chunks(io.RawIOBase):
    """Chunks of bytes from the engine, as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            with engine_call():
                chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
