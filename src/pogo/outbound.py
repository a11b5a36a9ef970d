"""HTTP to servers that users name.

A name is resolved once, the address is checked, and that address is connected to: a name that leads elsewhere the next
time leads nowhere. TLS is verified against the name.
"""

from __future__ import annotations

import ssl
from urllib.request import getproxies, proxy_bypass

import httpx2

from pogo.addresses import resolve
from pogo.errors import InvalidParams

PORTS = {"https": 443, "http": 80}


class Pinned(httpx2.AsyncBaseTransport):
    """private: whether the server may be on this machine or in its network.

    Connections are not kept, unless `keep`: that is for a client of one host, since a kept one is known by its address.
    Where the machine reaches servers through a proxy (`https_proxy`), the address is checked here, and the proxy
    gets the name: where that leads in its network is its operator's matter.
    """

    def __init__(self, *, private: bool, keep: bool = False, context: ssl.SSLContext | None = None) -> None:
        self._private = private
        limits = httpx2.Limits(max_keepalive_connections=1 if keep else 0)
        verify = context or ssl.create_default_context()
        self._direct = httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)
        proxies = {scheme: url for scheme, url in getproxies().items() if scheme in PORTS}
        self._through = {
            scheme: httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, proxy=url, limits=limits)
            for scheme, url in proxies.items()
        }

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2.ConnectError, also for a host that is not found or not allowed."""
        url = request.url
        port = url.port or PORTS.get(url.scheme, 443)
        try:
            address = await resolve(url.host, port, private=self._private)
        except InvalidParams as refused:
            raise httpx2.ConnectError(refused.message) from refused
        proxied = self._through.get(url.scheme)
        if proxied is not None and not proxy_bypass(url.host):
            return await proxied.handle_async_request(request)
        pinned = httpx2.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host},
        )
        return await self._direct.handle_async_request(pinned)

    async def aclose(self) -> None:
        for transport in (self._direct, *self._through.values()):
            await transport.aclose()


def client(timeout: float, *, private: bool, keep: bool = False) -> httpx2.AsyncClient:
    """A client that follows no redirects and connects to checked addresses only. timeout: seconds without a byte."""
    return httpx2.AsyncClient(timeout=timeout, trust_env=False, transport=Pinned(private=private, keep=keep))
