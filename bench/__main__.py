"""bin/bench: makes an installation of its own, measures, removes it."""

from __future__ import annotations

import sys

from installation import reserve

from bench import api, build, cli, deploys, dyno, push, route, router, store, switch

TOPICS = {
    "dyno": dyno.measure,
    "route": route.measure,
    "switch": switch.measure,
    "deploys": deploys.measure,
    "push": push.measure,
    "build": build.measure,
    "cli": cli.measure,
}


def main(wanted: str) -> None:
    if wanted in ("all", "router"):
        print("\nrouter")
        router.measure()
    if wanted in ("all", "api"):
        print("\napi")
        api.measure()
    if wanted in ("all", "store"):
        print("\nstore")
        store.measure()
    if wanted in ("router", "api", "store"):
        return
    platform = reserve()
    try:
        platform.up(POGO_LOG_LINES="4000000")
        for name, measure in TOPICS.items():
            if wanted in ("all", name):
                print(f"\n{name}")
                measure(platform)
    finally:
        platform.remove()


main(sys.argv[1])
