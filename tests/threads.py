"""The threads of a daemon that a test runs, and kills, in its own process: kill -9 would end them, too."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor


def begin() -> ThreadPoolExecutor:
    """What `asyncio.to_thread` uses from now on."""
    pool = ThreadPoolExecutor()
    asyncio.get_running_loop().set_default_executor(pool)
    return pool


async def end(pool: ThreadPoolExecutor) -> None:
    """What runs in its threads has ended, the tasks that called it having been cancelled before."""
    begin()
    await asyncio.to_thread(pool.shutdown)
