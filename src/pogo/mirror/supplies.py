"""What recipes work with, put together from the settings of an installation."""

from __future__ import annotations

import ssl

import httpx2

from pogo.containers import Containers
from pogo.mirror import Recipe, Supplies
from pogo.mirror.artefacts import FileArtefacts
from pogo.mirror.reach import Reach, Upstream
from pogo.mirror.repositories import HOST
from pogo.mirror.workshop import ContainerWorkshop
from pogo.settings import Settings

TIMEOUT = httpx2.Timeout(60, connect=15)


def supplies(settings: Settings, reach: Reach, containers: Containers) -> Supplies:
    return Supplies(
        http=client(reach),
        artefacts=FileArtefacts(settings.artefacts_dir),
        workshop=ContainerWorkshop(settings, containers),
        environment=settings.build_environment(),
        scratch=settings.mirror_dir / "scratch",
        stacks=tuple(settings.stack_names),
    )


def client(reach: Reach) -> httpx2.AsyncClient:
    """Goes where the operator's build environment says: through its proxies, but to the hosts of NO_PROXY."""
    context = ssl.create_default_context()
    mounts: dict[str, httpx2.AsyncBaseTransport | None] = {}
    for scheme, proxy in (("http://", reach.http), ("https://", reach.https)):
        if proxy:
            mounts[scheme] = httpx2.AsyncHTTPTransport(verify=context, proxy=_url(proxy))
    for name in reach.direct if mounts else ():
        bare = name.lstrip("*.")
        for pattern in ("all://",) if name == "*" else (f"all://{bare}", f"all://*.{bare}"):
            mounts[pattern] = httpx2.AsyncHTTPTransport(verify=context)
    return httpx2.AsyncClient(verify=context, mounts=mounts, trust_env=False, follow_redirects=True, timeout=TIMEOUT)


def _url(proxy: Upstream) -> httpx2.Proxy:
    user, _, password = proxy.credentials.partition(":")
    return httpx2.Proxy(f"http://{proxy.host}:{proxy.port}", auth=(user, password) if user else None)


def table(recipes: list[Recipe], settings: Settings) -> dict[str, str]:
    """What answers for each host: the name of a tool, or `git`."""
    found = {host: recipe.tool or "-" for recipe in recipes for host in recipe.hosts}
    return found | ({HOST: "git"} if settings.mirror_git else {})
