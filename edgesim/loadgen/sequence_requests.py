"""The requests of sequences: each is made of the answer before it, while nothing is timed."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edgesim.inputs.inputs import Arrays
from edgesim.inputs.sequences import RequestSequence
from edgesim.loadgen.endpoint import Peer
from edgesim.loadgen.generator import Completion, Request


@dataclass
class _Stream:
    """The sequence of one client: the step that comes next, from 0 on, its inputs, and its bytes."""

    step: int
    arrays: Arrays
    request: Request


class SequenceRequests:
    """Requests of `clients` sequences side by side, one for each closed loop. A failed request begins its anew.

    Args:
        peer: makes the bytes of requests.
        is_whole: whether a load ends with a whole sequence only.
        prepare: called with the step before its request is due, such as to pace a scaled server.
    """

    def __init__(
        self,
        sequence: RequestSequence,
        peer: Peer,
        *,
        clients: int = 1,
        is_whole: bool = False,
        prepare: Callable[[int], None] | None = None,
    ) -> None:
        self._sequence, self._peer, self._is_whole, self._prepare = sequence, peer, is_whole, prepare
        self._waiting = deque(self._stream(0, sequence.first()) for _ in range(clients))
        self._under_way: dict[int, _Stream] = {}

    def next(self) -> Request:
        return self._waiting[0].request

    def sent(self, token: int) -> None:
        self._under_way[token] = self._waiting.popleft()

    def answered(self, completion: Completion) -> None:
        stream = self._under_way.pop(completion.token)
        step = stream.step + 1
        if completion.outcome != "ok" or step == self._sequence.steps:
            self._waiting.append(self._stream(0, self._sequence.first()))
            return
        outputs = self._peer.decode(completion.payload)
        self._waiting.append(self._stream(step, self._sequence.following(step, stream.arrays, outputs)))

    def may_end(self) -> bool:
        return not self._is_whole or all(stream.step == 0 for stream in self._waiting)

    def _stream(self, step: int, arrays: Arrays) -> _Stream:
        if self._prepare is not None:
            self._prepare(step)
        return _Stream(step, arrays, Request(self._peer.on_the_wire(self._peer.encode(arrays)), step + 1))
