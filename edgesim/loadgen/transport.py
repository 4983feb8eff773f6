"""Requests over open connections, from one thread: the load generator must add next to nothing to a latency.

Neither http.client nor a pool of threads is good enough: with several concurrent requests the threads wait for the
interpreter lock, and the latencies include that wait. Here one thread waits for all connections at once, sends bytes
that were made before the load began, and parses an answer only as far as needed to find its end.
"""

import contextlib
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from urllib.parse import urlsplit

import httptools

from edgesim.loadgen.connection import Connection, Heads
from edgesim.loadgen.generator import Completion

# Connections that are opened before the load begins at most; an open loop opens more when it needs them.
_FIRST_CONNECTIONS = 32
# The kernel wakes a sleeping thread up to this late, so the last part of a wait polls without sleeping.
_AWAKE_NS = 300_000
_COARSE_NS = 10_000_000


class HttpTransport:
    """`edgesim.loadgen.generator.Transport` over HTTP/1.1, with up to `connections` concurrent requests.

    A request without an answer within `timeout_s` has failed, and its connection is closed.

    Args:
        keeps_answers: whether completions have the answers' bodies, which takes a little more time.

    Attributes:
        most_open: the largest number of connections that were open at a time.

    Raises on construction:
        OSError: no server listens.
    """

    def __init__(self, url: str, *, connections: int, timeout_s: float, keeps_answers: bool = False) -> None:
        address = urlsplit(url)
        first = socket.getaddrinfo(address.hostname, address.port, type=socket.SOCK_STREAM)[0]
        self._family, self._address = first[0], first[4]
        self._timeout_s = timeout_s
        self._most = connections
        self._epoll = select.epoll()
        self._open: dict[int, Connection] = {}
        self._idle: list[Connection] = []  # last in, first out: the last used connection is warm
        self._deadlines: deque[tuple[int, int, Connection]] = deque()
        self._done: list[Completion] = []  # requests that failed while they were sent
        self._heads = Heads()
        self._keeps_answers = keeps_answers
        self._tokens = 0
        self.most_open = 0
        try:
            for _ in range(min(connections, _FIRST_CONNECTIONS)):
                connection = self._connect()
                connection.socket.settimeout(timeout_s)
                connection.socket.connect(self._address)
                connection.socket.setblocking(False)
                self._idle.append(connection)
        except OSError:
            self.close()
            raise

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def send(self, request: bytes) -> int | None:
        if self._idle:
            connection = self._idle.pop()
        elif len(self._open) < self._most:
            try:
                connection = self._connect()
            except OSError:  # this process may open no more files
                self._most = len(self._open)
                return None
            with contextlib.suppress(BlockingIOError):
                connection.socket.connect(self._address)
        else:
            return None
        self._tokens += 1
        connection.token = self._tokens
        self._deadlines.append((time.monotonic_ns() + int(self._timeout_s * 1e9), self._tokens, connection))
        try:
            if not connection.begin(request):
                self._epoll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)
        except OSError as error:
            self._done.append(self._fail(connection, f"connection: {type(error).__name__}"))
        return connection.token or self._tokens

    def wait(self, until_ns: int | None) -> Sequence[Completion]:
        while True:
            done, self._done = self._done, []
            for number, event in self._events(0 if done else until_ns):
                completion = self._handle(self._open[number], event)
                if completion is not None:
                    done.append(completion)
            now = time.monotonic_ns()
            while self._deadlines and self._deadlines[0][0] <= now:
                _, token, connection = self._deadlines.popleft()
                if connection.token == token:
                    done.append(self._fail(connection, f"no answer within {self._timeout_s:g} s"))
            if done or (until_ns is not None and until_ns <= now):
                return done

    def close(self) -> None:
        """Close all connections, without waiting for answers."""
        for connection in self._open.values():
            connection.socket.close()
        self._open.clear()
        self._idle.clear()
        self._epoll.close()

    def __enter__(self) -> "HttpTransport":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> Connection:
        connection = Connection(self._family, self._heads, keeps_answers=self._keeps_answers)
        self._open[connection.socket.fileno()] = connection
        self.most_open = max(self.most_open, len(self._open))
        self._epoll.register(connection.socket, select.EPOLLIN)
        return connection

    def _events(self, until_ns: int | None) -> list[tuple[int, int]]:
        """Return the events of the connections; wait for one until `until_ns`, or the next deadline."""
        while self._deadlines and self._deadlines[0][2].token != self._deadlines[0][1]:
            self._deadlines.popleft()  # the request was answered
        if self._deadlines and (until_ns is None or self._deadlines[0][0] < until_ns):
            until_ns = self._deadlines[0][0]
        if until_ns is None:
            return self._epoll.poll()
        left_ns = until_ns - time.monotonic_ns()
        if left_ns > _COARSE_NS and (events := self._epoll.poll((left_ns - _COARSE_NS // 2) / 1e9)):
            return events
        # epoll waits in milliseconds; select, which can wait for the epoll itself, in microseconds.
        left_ns = until_ns - time.monotonic_ns()
        if left_ns > _AWAKE_NS and select.select([self._epoll], [], [], (left_ns - _AWAKE_NS) / 1e9)[0]:
            return self._epoll.poll(0)
        while not (events := self._epoll.poll(0)) and time.monotonic_ns() < until_ns:
            pass
        return events

    def _handle(self, connection: Connection, event: int) -> Completion | None:
        try:
            if event & select.EPOLLOUT and connection.send_rest():
                self._epoll.modify(connection.socket, select.EPOLLIN)
            if not event & ~select.EPOLLOUT:
                return None
            outcome = connection.receive()
        except (OSError, httptools.HttpParserError) as error:
            if connection.token:
                return self._fail(connection, f"connection: {type(error).__name__}")
            self._drop(connection)  # it was idle: no request is lost
            return None
        if outcome is None:
            return None
        completion = Completion(connection.token, time.monotonic_ns(), outcome, connection.payload)
        connection.token = 0
        if connection.may_stay:
            self._idle.append(connection)
        else:
            self._drop(connection)
        return completion

    def _fail(self, connection: Connection, outcome: str) -> Completion:
        completion = Completion(connection.token, time.monotonic_ns(), outcome)
        connection.token = 0
        self._drop(connection)
        return completion

    def _drop(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        del self._open[connection.socket.fileno()]
        self._epoll.unregister(connection.socket)
        connection.socket.close()
