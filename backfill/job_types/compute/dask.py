"""Computes results on a Dask cluster. If the cluster is unavailable, the job waits and no item fails."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future, wait
from typing import TYPE_CHECKING, Any, TypeVar

from backfill.analytics import SCHEMA_VERSION
from backfill.domain import WaitReason
from backfill.errors import BackfillError, Stopped
from backfill.job_types.compute.base import RemoteCompute, compute_in_worker
from backfill.job_types.compute.tasks import ComputeInput, Results
from backfill.rate_limit import Limiter

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

_RESPONSE_TIMEOUT = 3.0
"""Seconds to wait for a response of the scheduler."""

_STATUS_INTERVAL = 2.0
"""Seconds between status requests to the scheduler while a bundle is computed."""

_WORKERS_TIMEOUT = 10.0
"""Seconds to wait for a worker. Dask's nanny replaces a dead worker faster than that."""

_COMPUTE_TIMEOUT = 60.0
"""Seconds to wait for a bundle, which takes a fraction of a second to compute."""

_RETRY_INTERVAL = 2.0
"""Seconds between two attempts to compute a bundle."""

_STOP_INTERVAL = 0.2
"""Seconds between two checks whether the job stops."""

_STOP_TIMEOUT = 0.5
"""Seconds to wait for a bundle when the job stops, and for the client to close."""

_MAX_CONCURRENCY = 32
"""The maximum number of bundles in flight."""

T = TypeVar("T")


class ClusterUnavailable(BackfillError):
    """The cluster cannot compute. The message states the cause and the remedy."""

    code = "CLUSTER_AWAY"
    is_retryable = True


class VersionMismatch(BackfillError):
    """A worker runs another version of the program."""

    code = "OTHER_RULES"


def compute_with_version(version: int, inputs: Sequence[ComputeInput]) -> Results:
    """Runs on a worker. Raises VersionMismatch if the worker has another schema version than the service."""
    if version != SCHEMA_VERSION:
        raise VersionMismatch(f"A worker has schema version {SCHEMA_VERSION} of the analytics, the service {version}.")
    return compute_in_worker(inputs)


class DaskCompute(RemoteCompute):
    """Computes on the workers of a Dask scheduler.

    A bundle is a pure function call, so it can be sent again after any error; this process stores its results. While
    the cluster is unavailable, all threads wait and the job's limiter reports the reason. A separate thread with an
    event loop talks to the cluster. Every wait in it has a timeout, because a scheduler may accept connections
    without responding.
    """

    def __init__(self, address: str, limiter: Limiter) -> None:
        super().__init__()
        self._address, self._limiter = address, limiter
        self.concurrency = 2  # until the number of workers is known
        self._start_lock = threading.Lock()
        self._loop_thread: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self._client: Client | None = None
        self._connect_lock = asyncio.Lock()
        self._is_unavailable = self._is_closed = False

    def close(self) -> None:
        with self._start_lock:
            self._is_closed, loop_thread, self._loop_thread = True, self._loop_thread, None
        if loop_thread is not None:
            loop, thread = loop_thread
            loop.call_soon_threadsafe(loop.stop)
            thread.join(3 * _STOP_TIMEOUT)

    def _submit(self, inputs: Sequence[ComputeInput]) -> Results:
        while True:
            try:
                results = self._retry_until_available(lambda: self._compute(inputs))
            except ClusterUnavailable as exc:
                if not self._is_unavailable:
                    logger.warning("%s Retrying every %g s; no item is lost.", exc.message, _RETRY_INTERVAL)
                self._is_unavailable = True
                self._limiter.hold_for(WaitReason.CLUSTER, exc.message, _RETRY_INTERVAL)
            else:
                if self._is_unavailable:
                    logger.info("The Dask cluster at %s computes again.", self._address)
                self._is_unavailable = False
                self._limiter.resume()
                return results

    def _retry_until_available(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` in the event loop and return its result. Raises Stopped if the job stops before."""
        task = self._start(work)
        while True:
            wait([task], _STOP_INTERVAL)
            if task.done():
                break
            try:
                self._limiter.check()
            except Stopped:
                wait([task], _STOP_TIMEOUT)
                if not task.done():
                    task.cancel()
                    raise
        try:
            return task.result()
        except CancelledError as exc:
            raise Stopped("The job stops; the items stay unprocessed.") from exc

    def _start(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        with self._start_lock:
            if self._is_closed:
                raise Stopped("The job has stopped.")
            if self._loop_thread is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._run_loop, args=(loop,), name="backfill-dask", daemon=True)
                thread.start()
                self._loop_thread = loop, thread
            return asyncio.run_coroutine_threadsafe(work(), self._loop_thread[0])

    # The following methods run in the event loop.

    def _run_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(self._shut_down())
        finally:
            loop.close()

    async def _shut_down(self) -> None:
        """Close the client and cancel all tasks before the loop is closed."""
        client, self._client = self._client, None
        if client is not None:
            await _close(client)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_STOP_TIMEOUT)

    async def _compute(self, inputs: Sequence[ComputeInput]) -> Results:
        from distributed import KilledWorker

        client = await self._connect()
        future = client.submit(compute_with_version, SCHEMA_VERSION, list(inputs), pure=False)
        task = asyncio.ensure_future(future.result())
        try:
            await self._wait_for(client, task)
            results: Results = task.result()
        except KilledWorker as exc:
            raise BrokenExecutor(f"its workers died: {exc}") from exc
        except VersionMismatch as exc:
            raise ClusterUnavailable(
                f"{exc.message} Restart the workers of the Dask scheduler at {self._address} with the same version."
            ) from exc
        except (OSError, CancelledError) as exc:  # Dask cancels futures when the connection to the scheduler is lost
            await self._drop(client)
            raise self._unreachable(exc) from exc
        except ClusterUnavailable:
            raise
        except Exception as exc:  # errors of items are returned as results, so this is an error of the cluster
            await self._drop(client)
            raise ClusterUnavailable(
                f"The Dask cluster at {self._address} cannot compute ({_cause(exc)}). Make sure that the scheduler "
                "and the workers run the same version of this program and of its packages."
            ) from exc
        finally:
            task.cancel()
            future.release()
        return results

    async def _wait_for(self, client: Client, task: asyncio.Future[Results]) -> None:
        """Wait for a task. Raises ClusterUnavailable if the cluster has no worker or is too slow."""
        started = last_worker = time.monotonic()
        while not (await asyncio.wait({task}, timeout=_STATUS_INTERVAL))[0]:
            workers = await self._worker_count(client)
            now = time.monotonic()
            last_worker = now if workers else last_worker
            if now - last_worker >= _WORKERS_TIMEOUT:
                raise ClusterUnavailable(
                    f"The Dask scheduler at {self._address} has no worker. Start one as described in docs/dask.md."
                )
            if now - started >= _COMPUTE_TIMEOUT:
                raise ClusterUnavailable(
                    f"The Dask cluster at {self._address} has not computed a bundle in {now - started:.0f} seconds "
                    f"with {workers} workers. Check whether they are busy with other work."
                )

    async def _worker_count(self, client: Client) -> int:
        """The number of workers. Also updates `concurrency`. Raises OSError if the scheduler does not respond."""
        scheduler = client.scheduler
        if scheduler is None:  # the client has given up reconnecting
            raise ConnectionError("The connection was lost.")
        identity = await asyncio.wait_for(scheduler.identity(n_workers=0), _RESPONSE_TIMEOUT)
        self.concurrency = min(max(identity["total_threads"], 1) + 1, _MAX_CONCURRENCY)
        return int(identity["n_workers"])

    async def _connect(self) -> Client:
        """The shared client. Raises ClusterUnavailable if the scheduler does not respond."""
        from distributed import Client

        async with self._connect_lock:
            if self._client is not None and self._client.status == "running":
                return self._client
            client = Client(self._address, asynchronous=True, set_as_default=False, timeout=_RESPONSE_TIMEOUT)
            try:
                await asyncio.wait_for(client, 2 * _RESPONSE_TIMEOUT)
                await self._worker_count(client)
            except (OSError, ImportError) as exc:
                await _close(client)
                raise self._unreachable(exc) from exc
            except BaseException:
                await _close(client)
                raise
            self._client = client
            return client

    async def _drop(self, client: Client) -> None:
        """Close a broken client; the next bundle connects again."""
        if self._client is client:
            self._client = None
        await _close(client)

    def _unreachable(self, exc: Exception) -> ClusterUnavailable:
        return ClusterUnavailable(
            f"The Dask scheduler at {self._address} does not answer ({_cause(exc)}). Start it, or correct "
            "BACKFILL_EXECUTOR and restart the service."
        )


async def _close(client: Client) -> None:
    try:
        await asyncio.wait_for(client.close(), _STOP_TIMEOUT)
    except TimeoutError:
        logger.info("The connection to the Dask scheduler at %s could not be closed properly.", client.scheduler)


def _cause(exc: BaseException) -> str:
    return " ".join(str(exc.__cause__ or exc).split()) or type(exc).__name__
