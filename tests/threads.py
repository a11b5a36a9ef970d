"""The threads of a daemon that a test runs, and kills, in its own process: kill -9 would end them, too."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pogo.services.platform import Platform


def begin(platform: Platform) -> tuple[ThreadPoolExecutor, ...]:
    """What `asyncio.to_thread` and `platform.ask_store` use from now on."""
    pools = ThreadPoolExecutor(), ThreadPoolExecutor()
    asyncio.get_running_loop().set_default_executor(pools[0])
    platform.store_threads = pools[1]
    return pools


async def end(platform: Platform, pools: tuple[ThreadPoolExecutor, ...]) -> None:
    """What runs in its threads has ended, the tasks that called it having been cancelled before."""
    begin(platform)
    for pool in pools:
        await asyncio.to_thread(pool.shutdown)
