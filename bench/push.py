"""`git push` of a Procfile-only app until git returns: built, released, booted, answering.

Beside it the floor: the same push to a bare repository.
"""

from __future__ import annotations

import shutil
import time

from installation import CHECKOUT, Installation

from bench.table import show

ROUNDS = 8


def measure(platform: Installation) -> None:
    work = platform.create(CHECKOUT / "examples" / "procfile", "bench-push")
    bare = platform.home / "bare.git"
    platform.run("git", "init", "--quiet", "--bare", str(bare))
    found: dict[str, list[float]] = {"to a bare repository, nothing else": [], "to the platform": []}
    for number in range(ROUNDS + 1):
        (work / "number").write_text(str(number))
        platform.commit(work, "next")
        for name, remote in zip(found, (str(bare), "pogo"), strict=True):
            began = time.perf_counter()
            platform.run("git", "push", "--quiet", remote, "main", cwd=work)
            if number:  # the first one makes what the others find
                found[name].append((time.perf_counter() - began) * 1000)
    show(found, "ms")
    platform.pogo("destroy", "-a", "bench-push", "--confirm", "bench-push")
    shutil.rmtree(bare)
