"""Executors of the tasks of a long run: this process, a pool of processes, or the workers of a dask cluster."""

import asyncio
import contextlib
import functools
import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import torch

from lab.cli import UserError, check

TIMEOUT = 10  # seconds that a scheduler has to answer
SHARED = None  # what a process of the local pool was sent


def executor(function, shared, workers, cluster):
    """A context that gives results(tasks): yields function(shared, task) of each in turn; a function of a module.

    workers: processes of this machine; cluster: address of a dask scheduler to use in their place, or None. `shared` (the
    weights) is sent to each worker once.
    """
    if cluster is not None:
        return dask_pool(function, shared, cluster)
    if workers > 1:
        return local_pool(function, shared, workers)
    return contextlib.nullcontext(lambda tasks: (function(shared, task) for task in tasks))


@contextlib.contextmanager
def local_pool(function, shared, workers):
    """Processes of this machine. They end with this one, however it ends, and when the context is left."""
    spawn = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    theirs, ours = spawn.Pipe(duplex=False)
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, spawn, _begin, (theirs, threads, pickle.dumps(shared)))
    try:
        yield functools.partial(pool.map, functools.partial(_work, function))
    except BrokenProcessPool as error:
        ended = "a worker process has ended (killed, or out of memory): --resume with fewer --workers"
        raise UserError(ended) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        ours.close()


def _begin(theirs, threads, shared):
    """What a process of the local pool does first."""
    global SHARED
    for number in (signal.SIGINT, signal.SIGTERM):  # they may reach them too, and are the first process's to answer
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(theirs,), daemon=True).start()
    torch.set_num_threads(threads)
    SHARED = pickle.loads(shared)


def _end_with(pipe):
    """End this process once the other end of the pipe is closed, which the death of its holder does too."""
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    os._exit(1)


def _work(function, task):
    return function(SHARED, task)


@contextlib.contextmanager
def dask_pool(function, shared, address):
    """The workers of a dask scheduler. One that dies costs the task it was at, which another does again."""
    client = connect(address)
    start = f"in a clone of this project: uv run --extra cluster python -m distributed.cli.dask_worker {address}"
    import dask  # not at the top: an extra
    import distributed

    try:
        check(client.nthreads(), f"--cluster {address}: has no workers; start some {start}")
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            sent = client.submit(pickle.loads, pickle.dumps(shared), pure=False)  # made again when who has it dies

        def results(tasks):
            futures = [client.submit(function, sent, task, pure=False) for task in tasks]
            return (future.result() for future in futures)

        yield results
    except (distributed.KilledWorker, ModuleNotFoundError) as error:
        raise UserError(f"--cluster {address}: {error}. Try a smaller --batch, and workers started {start}") from error
    finally:
        client.close()


def connect(address):
    """A client of the dask scheduler at an address. Raises UserError."""

    async def greet():
        secure = distributed.Security().get_connection_args("client")
        async with distributed.rpc(address, connection_args=secure) as scheduler:
            await scheduler.identity()

    try:
        import distributed

        # Asked first without a client: one that fails half-made is left to the garbage collector, which may block.
        asyncio.run(asyncio.wait_for(greet(), TIMEOUT))
        return distributed.Client(address, timeout=TIMEOUT)
    except ImportError as error:
        raise UserError("--cluster needs dask.distributed: uv sync --extra cluster") from error
    except (OSError, ValueError, asyncio.TimeoutError) as error:
        needed = "needs the address of a dask scheduler that runs, such as tcp://host:8786 (ray is not supported)"
        reason = str(error).partition("\n")[0] or "no answer"
        raise UserError(f"--cluster {address}: {needed}; {reason}") from error
