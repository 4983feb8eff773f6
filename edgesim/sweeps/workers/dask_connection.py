"""The connection to Dask's scheduler, with its errors as errors of edgesim. Needs the `dask` extra.

TLS, authentication and the dashboard are Dask's own: the configuration that Dask reads of its files and variables
applies.
"""

import asyncio
import itertools
import logging
import queue
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from edgesim.errors import HostError, UsageError
from edgesim.results.cell_result import CellResult
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.file_tree import FileTree
from edgesim.sweeps.workers import file_store, worker
from edgesim.sweeps.workers.worker import Facts, Refusal

_CONNECT_S = 10
_CLOSE_S = 5
_PIECE_BYTES = 16 << 20
# What a cell's task ended with: what `worker.do` returns, an exception, or None if the task was lost.
Answer = CellResult | Refusal | BaseException | None


class DaskConnection:
    """A client of a scheduler.

    Attributes:
        ended: keys of cells whose tasks have ended, as they end.
        doing: what each cell does, in words, by its key.
    """

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            HostError: Dask is not installed, or the scheduler does not answer; UsageError: the address is not valid.
        """
        try:
            from distributed import Client
        except ModuleNotFoundError as error:
            raise HostError(f"`scheduler`: {error.name} is not installed", fix="pip install 'edgesim[dask]'") from error
        self._address = address
        self._id = uuid.uuid4().hex[:8]
        self._started = itertools.count()
        self.ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.doing: dict[str, str] = {}
        self._futures: dict[str, Any] = {}
        _silence_logs()
        try:
            # Dask's client, once made, waits half a minute for a scheduler that is not there, also after an error.
            asyncio.run(_shake_hands(address))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that versions differ; edgesim's own are compared by name
                self._client: Any = Client(address, timeout=_CONNECT_S, set_as_default=False, name="edgesim-sweep")
        except (OSError, TimeoutError) as error:
            raise HostError(
                f"`scheduler={address}`: no Dask scheduler answers: {_last_line(error)}",
                fix="start one with dask scheduler, whose log shows the address; for TLS, see Dask's configuration",
            ) from error
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"`scheduler={address}`: {_last_line(error)}",
                fix="for example tcp://HOST:8786; for tls://, Dask's configuration names the certificates",
            ) from error
        self._client.subscribe_topic(self._topic, self._hear)

    @property
    def is_connected(self) -> bool:
        """Whether the scheduler answers."""
        return bool(self._client.status == "running")

    @property
    def dashboard(self) -> str:
        """The address of the scheduler's dashboard; empty without a dashboard."""
        return str(self._client.dashboard_link)

    def workers(self) -> Mapping[str, frozenset[str]]:
        """Return the resources that each worker declares, by the workers' addresses.

        Raises:
            HostError: the scheduler does not answer any more.
        """
        known = self._called(lambda: self._client.scheduler_info(n_workers=-1)["workers"])
        return {
            address: frozenset(name for name, count in facts["resources"].items() if count >= 1)
            for address, facts in known.items()
        }

    def facts(self, addresses: Sequence[str]) -> Mapping[str, Facts | str]:
        """Return the facts of each of these workers, or the error that keeps a worker from stating its facts."""
        answers = self._called(lambda: self._client.run(worker.facts, workers=list(addresses), on_error="return"))
        return {address: _facts(answers.get(address)) for address in addresses}

    def send(self, tree: FileTree, address: str) -> bool:
        """Send a tree of files to a worker whose machine lacks it; return whether the machine has the files now."""

        def call(function: Callable[..., Any], *arguments: Any) -> Any:
            return self._called(lambda: self._client.run(function, *arguments, workers=[address])[address])

        try:
            if call(file_store.has, tree):
                return True
            for file in tree.files:
                for piece in _pieces(tree.root / file.path):
                    call(file_store.write, self._id, tree.sha256, file.path, piece)
            call(file_store.finish, self._id, tree)
        except KeyError:  # the worker is gone
            return False
        return True

    def start(self, cell: Cell, address: str, needs: frozenset[str], registry: str | None) -> None:
        """Start a cell on a worker that has the cell's files; `ended` gets the cell's key when the task ends."""
        future = self._called(
            lambda: self._client.submit(
                worker.do,
                cell,
                registry,
                self._topic,
                key=f"{cell.job}-{cell.key}-{self._id}-{next(self._started)}",
                workers=[address],
                resources=dict.fromkeys(needs, 1),
                pure=False,
            )
        )
        self._futures[cell.key] = future
        future.add_done_callback(lambda done: self.ended.put(cell.key) if done is future else None)

    def take(self, key: str) -> Answer:
        """Return the outcome of a cell's task; raise the errors of `workers`."""
        future = self._futures.pop(key, None)
        self.doing.pop(key, None)
        self._require_running()
        if future is None or future.status in ("cancelled", "lost"):
            return None
        try:
            answer: Answer = self._called(lambda: future.exception() or future.result())
            return answer
        except CancelledError:
            return None

    def drop(self, key: str) -> None:
        """Forget a cell's task, which never ends."""
        self.doing.pop(key, None)
        if (future := self._futures.pop(key, None)) is not None:
            self._called(lambda: future.cancel(force=True))

    def close(self) -> None:
        """Cancel the cells under way, whose workers then take down their boards, and disconnect from the scheduler."""
        try:
            if self.is_connected:
                self._client.cancel(list(self._futures.values()), force=True)
        except Exception:  # of Dask, at a connection that is going down
            logging.getLogger(__name__).debug("the scheduler did not hear that the cells are given up", exc_info=True)
        finally:
            self._futures.clear()
            self._client.close(timeout=_CLOSE_S)

    @property
    def _topic(self) -> str:
        return f"edgesim-sweep-{self._id}"

    def _hear(self, event: tuple[float, tuple[str, str, str]]) -> None:
        key, _, words = event[1]
        if key in self._futures:
            self.doing[key] = words

    def _called(self, action: Callable[[], Any]) -> Any:
        self._require_running()
        try:
            return action()
        except (OSError, TimeoutError) as error:  # Dask's CommClosedError is an OSError
            raise self._gone() from error

    def _require_running(self) -> None:
        if not self.is_connected:
            raise self._gone()

    def _gone(self) -> HostError:
        return HostError(
            f"the scheduler at {self._address} no longer answers",
            fix="start the scheduler and the workers again, then repeat the command for the remaining cells",
        )


def _silence_logs() -> None:
    """Silence the logs of Dask: edgesim says in one line that a connection has ended, where Dask prints a page.

    Dask sets the levels of some of its loggers when it is imported.
    """
    for name in ("asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("asyncio", "distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


async def _shake_hands(address: str) -> None:
    """Connect as a client does, with Dask's configuration of TLS, and disconnect."""
    from distributed import Security
    from distributed.comm import connect

    comm = await connect(address, timeout=_CONNECT_S, **Security().get_connection_args("client"))
    await comm.close()


def _last_line(error: BaseException) -> str:
    return next(reversed(str(error).strip().splitlines()), type(error).__name__)


def _facts(answer: Any) -> Facts | str:
    if isinstance(answer, Facts):
        return answer
    if isinstance(answer, ModuleNotFoundError):
        return f"{answer.name} is not installed there"
    return f"does not answer: {answer}" if answer is not None else "does not answer"


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield the content of a file in pieces; an empty file has one piece, too."""
    with path.open("rb") as file:
        yield file.read(_PIECE_BYTES)
        while piece := file.read(_PIECE_BYTES):
            yield piece
