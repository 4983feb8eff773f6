"""A server with scripted latencies, which answers every request with ``{}``.

The server is a separate process, so that its waits do not delay the client:
``python -m tests.support.scripted_server SCRIPT``, where SCRIPT is JSON, see `Script`. The first line of its output is
its port.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
FAILURE = b'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 16\r\n\r\n{"error":"said"}'


@dataclass(frozen=True, kw_only=True)
class Script:
    """Latencies and outcomes of requests, which are counted from 0.

    Attributes:
        delays_ms: milliseconds that requests take, in turn, over and over.
        stall: a request and milliseconds: from the arrival of that request, the server answers nothing for that time.
        one_at_a_time: a request waits until the request before it is answered.
        fail, reset, silent: requests that get a status of 500, a closed connection, no answer.
        close_after: the server closes the connection after each answer.
        chunked: the answer is chunked, without a length.
    """

    delays_ms: tuple[float, ...] = (0,)
    stall: tuple[int, float] | None = None
    one_at_a_time: bool = False
    fail: tuple[int, ...] = ()
    reset: tuple[int, ...] = ()
    silent: tuple[int, ...] = ()
    close_after: bool = False
    chunked: bool = False


class _Server:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._count = 0
        self._turn = asyncio.Lock()
        self._stalled_until = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                arrived = asyncio.get_running_loop().time()
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                number, self._count = self._count, self._count + 1
                if not await self._answer(number, arrived, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, number: int, arrived: float, writer: asyncio.StreamWriter) -> bool:
        script, loop = self._script, asyncio.get_running_loop()
        delay_s = script.delays_ms[number % len(script.delays_ms)] / 1000
        if script.stall is not None and number == script.stall[0]:
            self._stalled_until = arrived + script.stall[1] / 1000
        if script.one_at_a_time:
            async with self._turn:
                await asyncio.sleep(delay_s)
        else:
            await asyncio.sleep(max(arrived + delay_s, self._stalled_until) - loop.time())
        if number in script.silent:
            await asyncio.sleep(3600)
        if number in script.reset:
            return False
        if script.chunked:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
            await asyncio.sleep(0.001)
            writer.write(b"0\r\n\r\n")
        else:
            answer = FAILURE if number in script.fail else ANSWER
            writer.write(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) if script.close_after else answer)
        return not script.close_after


async def _main(script: Script) -> None:
    server = await asyncio.start_server(_Server(script).serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 (for the process that started the server)
    await server.serve_forever()


@contextmanager
def scripted(script: Script) -> Iterator[str]:
    """Run a scripted server for the length of the block; yield its URL."""
    command = [sys.executable, "-m", "tests.support.scripted_server", json.dumps(asdict(script))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_main(Script(**json.loads(sys.argv[1]))))
