"""Results computed on a Dask cluster: what is sent there, and how its absence holds a job and loses nothing."""

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
from backfill.job_types.compute.base import RemoteCompute, Results, compute_in_worker
from backfill.job_types.compute.tasks import ComputeInput
from backfill.rate_limit import Limiter

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

_ANSWERS_WITHIN = 3.0
"""Seconds in which a scheduler that is there answers."""

_LOOK_AFTER = 2.0
"""Seconds without a result, after which the scheduler is asked how it is."""

_WORKERS_WITHIN = 10.0
"""Seconds in which there must be a worker: one that died is replaced in less by its nanny."""

_COMPUTES_WITHIN = 60.0
"""Seconds in which a bundle, which is a fraction of a second of work, must be computed."""

_AGAIN_AFTER = 2.0
"""Seconds between two attempts to have a bundle computed."""

_LISTENS_EVERY = 0.2
"""Seconds between two looks whether the job is to stop."""

_STOPS_WITHIN = 0.5
"""Seconds that a bundle has left when the job is to stop; and that the cluster is given for a farewell."""

_MOST = 32
"""Bundles that are on their way at once."""

T = TypeVar("T")


class ClusterUnavailable(BackfillError):
    """The cluster cannot compute as it is; the message says why, and what to do."""

    code = "CLUSTER_AWAY"
    is_retryable = True


class VersionMismatch(BackfillError):
    """A worker has another version of the program."""

    code = "OTHER_RULES"


def compute_by(version: int, sources: Sequence[ComputeInput]) -> Results:
    """What a worker is asked for. Raises VersionMismatch where it would compute by others than those of `version`."""
    if version != SCHEMA_VERSION:
        raise VersionMismatch(f"A worker computes by version {SCHEMA_VERSION} of the rules, the service by {version}.")
    return compute_in_worker(sources)


class DaskCompute(RemoteCompute):
    """By the workers of a Dask scheduler.

    A bundle is pure work, so whatever happens to it it is sent again; its results are stored here, once. Where the
    cluster is away, all wait, and the job's limiter says why. What speaks to the cluster is a thread with a loop of its
    own: every wait in it has an end, also where a scheduler accepts connections and says nothing.
    """

    def __init__(self, address: str, limiter: Limiter) -> None:
        super().__init__()
        self._address, self._limiter = address, limiter
        self.concurrency = 2  # until it is known how many workers there are
        self._starting = threading.Lock()
        self._living: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._is_away = self._is_closed = False

    def close(self) -> None:
        with self._starting:
            self._is_closed, living, self._living = True, self._living, None
        if living is not None:
            loop, thread = living
            loop.call_soon_threadsafe(loop.stop)
            thread.join(3 * _STOPS_WITHIN)

    def _submit(self, sources: Sequence[ComputeInput]) -> Results:
        while True:
            try:
                results = self._retry_until_available(lambda: self._computed(sources))
            except ClusterUnavailable as exc:
                if not self._is_away:
                    logger.warning("%s It is tried again every %g s; no item is lost.", exc.message, _AGAIN_AFTER)
                self._is_away = True
                self._limiter.hold_for(WaitReason.CLUSTER, exc.message, _AGAIN_AFTER)
            else:
                if self._is_away:
                    logger.info("The Dask cluster at %s computes again.", self._address)
                self._is_away = False
                self._limiter.resume()
                return results

    def _retry_until_available(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What comes of it in the loop. Raises Stopped where the job is to stop before."""
        answer = self._begun(work)
        while True:
            wait([answer], _LISTENS_EVERY)
            if answer.done():
                break
            try:
                self._limiter.check()
            except Stopped:
                wait([answer], _STOPS_WITHIN)
                if not answer.done():
                    answer.cancel()
                    raise
        try:
            return answer.result()
        except CancelledError as exc:
            raise Stopped("The job stops; the items are left as if they had not begun.") from exc

    def _begun(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        with self._starting:
            if self._is_closed:
                raise Stopped("The job has stopped.")
            if self._living is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._live, args=(loop,), name="backfill-dask", daemon=True)
                thread.start()
                self._living = loop, thread
            return asyncio.run_coroutine_threadsafe(work(), self._living[0])

    # What happens in the loop.

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(self._end())
        finally:
            loop.close()

    async def _end(self) -> None:
        """Nothing of it goes on when the loop is closed."""
        client, self._client = self._client, None
        if client is not None:
            await _left(client)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_STOPS_WITHIN)

    async def _computed(self, sources: Sequence[ComputeInput]) -> Results:
        from distributed import KilledWorker

        client = await self._connected()
        future = client.submit(compute_by, SCHEMA_VERSION, list(sources), pure=False)
        answer = asyncio.ensure_future(future.result())
        try:
            await self._awaited(client, answer)
            results: Results = answer.result()
        except KilledWorker as exc:
            raise BrokenExecutor(f"its workers died: {exc}") from exc
        except VersionMismatch as exc:
            raise ClusterUnavailable(
                f"{exc.message} Start the workers of the Dask scheduler at {self._address} anew, from the same version."
            ) from exc
        except (OSError, CancelledError) as exc:  # whatever was on its way is cancelled when the scheduler is lost
            await self._drop(client)
            raise self._silent(exc) from exc
        except ClusterUnavailable:
            raise
        except Exception as exc:  # what the items meet comes as a result: this is of the cluster, whatever its type
            await self._drop(client)
            raise ClusterUnavailable(
                f"The Dask cluster at {self._address} cannot compute ({_cause(exc)}). See that scheduler and workers "
                "run from the same version of this program and of its packages."
            ) from exc
        finally:
            answer.cancel()
            future.release()  # nobody waits for it any more
        return results

    async def _awaited(self, client: Client, answer: asyncio.Future[Results]) -> None:
        """Until there is an answer, or it is known why there will be none."""
        began = last_worker = time.monotonic()
        while not (await asyncio.wait({answer}, timeout=_LOOK_AFTER))[0]:
            workers = await self._workers(client)
            now = time.monotonic()
            last_worker = now if workers else last_worker
            if now - last_worker >= _WORKERS_WITHIN:
                raise ClusterUnavailable(
                    f"The Dask scheduler at {self._address} has no worker. Start one as docs/dask.md says."
                )
            if now - began >= _COMPUTES_WITHIN:
                raise ClusterUnavailable(
                    f"The Dask cluster at {self._address} has not computed a bundle in {now - began:.0f} seconds, with "
                    f"{workers} workers. See whether they are busy with other work, or stuck."
                )

    async def _workers(self, client: Client) -> int:
        """How many there are; and how many bundles they can make use of is then known. Raises OSError."""
        scheduler = client.scheduler
        if scheduler is None:  # so it is once the client has given up to reach it again
            raise ConnectionError("The connection was lost.")
        told = await asyncio.wait_for(scheduler.identity(n_workers=0), _ANSWERS_WITHIN)
        self.concurrency = min(max(told["total_threads"], 1) + 1, _MOST)
        return int(told["n_workers"])

    async def _connected(self) -> Client:
        """The client of all bundles. Raises ClusterUnavailable where the scheduler does not answer."""
        from distributed import Client

        async with self._connecting:
            if self._client is not None and self._client.status == "running":
                return self._client
            client = Client(self._address, asynchronous=True, set_as_default=False, timeout=_ANSWERS_WITHIN)
            try:
                await asyncio.wait_for(client, 2 * _ANSWERS_WITHIN)
                await self._workers(client)
            except (OSError, ImportError) as exc:
                await _left(client)
                raise self._silent(exc) from exc
            except BaseException:
                await _left(client)
                raise
            self._client = client
            return client

    async def _drop(self, client: Client) -> None:
        """The next bundle gets a whole one."""
        if self._client is client:
            self._client = None
        await _left(client)

    def _silent(self, exc: Exception) -> ClusterUnavailable:
        return ClusterUnavailable(
            f"The Dask scheduler at {self._address} does not answer ({_cause(exc)}). Start it, or correct "
            "BACKFILL_EXECUTOR and start the service again."
        )


async def _left(client: Client) -> None:
    try:
        await asyncio.wait_for(client.close(), _STOPS_WITHIN)
    except TimeoutError:
        logger.info("The Dask scheduler at %s was left without a farewell.", client.scheduler)


def _cause(exc: BaseException) -> str:
    return " ".join(str(exc.__cause__ or exc).split()) or type(exc).__name__
