"""Makes the router show the apps: hosts, dynos in and out, refusals; and brings its request log to the apps."""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field

import structlog

from pogo.errors import PogoError
from pogo.logs import Line
from pogo.rules import routing
from pogo.rules.router_log import RouterRecord, heroku_line
from pogo.services import dynos, snapshot
from pogo.services.platform import Platform
from pogo.services.snapshot import AppState

log = structlog.get_logger()
PERIOD = 1.0
REST = 5.0  # seconds, where only a lost hint could have left something to do
REMEMBERED = 10_000
LEAVING = ("draining", "stopping")
SHOWN: dict[str, routing.DynoState] = {
    "starting": "starting",
    "up": "up",
    "crashed": "crashed",
    "draining": "stopping",
    "stopping": "stopping",
}


@dataclass
class RouterLoop:
    """apps: slot → app id. names: container id → dyno name; it outlives the dyno, whose last lines come late."""

    platform: Platform
    apps: dict[int, str] = field(default_factory=dict)
    names: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _wait: float = PERIOD

    async def begin(self) -> None:
        """Know the apps before their requests come in: HAProxy has kept those of the time without a daemon."""
        self._remember(await self.platform.call(snapshot.read))

    async def turn(self) -> bool:
        platform, grace = self.platform, self.platform.settings.stop_grace
        self._wait = PERIOD
        states = await platform.call(snapshot.read)
        self._remember(states)
        applied = await platform.router.apply(routing.routes(self._view(app) for app in states if not app.destroyed))
        if not applied.changes and not any(dyno.state in LEAVING for app in states for dyno in app.dynos):
            self._wait = REST
        for app in states:
            for dyno in app.dynos:
                # This turn has told the router that it drains; without requests left it may stop.
                if dyno.state == "draining" and dyno.container not in applied.busy:
                    await platform.call(
                        dynos.change, dyno.id, "draining", state="stopping", stop_by=dynos.stop_deadline(grace)
                    )
                    platform.say(app.id, dyno.name, "Stopping all processes with SIGTERM", at=time.time())
                    platform.hints.wake("dynos")
        return False

    def period(self) -> float:
        return self._wait

    async def watch(self) -> None:
        """Take a turn as soon as the router has come back empty."""
        async for _ in self.platform.router.watch():
            self.platform.hints.wake("router", "certificates")

    def _view(self, app: AppState) -> routing.AppView:
        settings = self.platform.settings
        stopped_by_user = sum(dyno.state == "down" for dyno in app.dynos if dyno.type == "web")
        return routing.AppView(
            slot=app.slot,
            name=app.name,
            hosts=(settings.app_host(app.name), *app.domains),
            maintenance=app.maintenance,
            has_slug=app.release is not None,
            options=app.routing,
            web_quantity=max(0, app.web - stopped_by_user),
            dynos=tuple(
                routing.DynoView(
                    container_id=dyno.container or "",
                    type=dyno.type,
                    state=SHOWN[dyno.state],
                    retired=dyno.retired is not None,
                    address=app.address.get(dyno.id, ""),
                    port=app.port.get(dyno.id, 0),
                )
                for dyno in app.dynos
                if dyno.kind == "formation" and dyno.state in SHOWN and (dyno.container or dyno.state == "crashed")
            ),
        )

    def _remember(self, states: list[AppState]) -> None:
        self.apps = {app.slot: app.id for app in states}
        for app in states:
            for dyno in app.dynos:
                if dyno.container:
                    self.names[dyno.container] = dyno.name
        while len(self.names) > REMEMBERED:
            self.names.popitem(last=False)

    def on_records(self, records: list[RouterRecord]) -> None:
        """Write requests into the logs of their apps: `heroku[router]: at=info method=GET …`."""
        lines: dict[str, list[Line]] = defaultdict(list)
        for record in records:
            app = self.apps.get(record.slot)
            if app:
                text = heroku_line(record, self.names.get(record.server, ""))
                lines[app].append(Line(record.time / 1e6, "heroku", "router", text))
        for app, batch in lines.items():
            try:
                self.platform.logs.append(app, batch)
            except PogoError as error:
                log.warning("requests not logged", app=app, requests=len(batch), error=error.message)
