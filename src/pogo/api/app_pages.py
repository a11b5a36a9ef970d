"""Pages of apps. What was shown of an app is kept as the bytes that were sent, until its stamp changes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from fastapi import Response

from pogo.api import paging
from pogo.api.caller import Caller
from pogo.api.show import apps as show
from pogo.services import app_list
from pogo.services.app_list import ORDERS, Condition, Part, Stamp

KEPT = 10_000  # apps, of about 1 KB each
_sent: dict[tuple[str, bool], tuple[Stamp, bytes]] = {}


def listing(me: Caller, which: Condition | None, *, extended: bool) -> Response:
    """A page of those apps that meet a condition (None: of all); as `answers.listing`, but the database makes it."""
    wanted = paging.parse(me.range, ORDERS)
    part = Part(wanted.field, wanted.start, wanted.end, wanted.exclusive, wanted.descending, wanted.max)
    stamps, more = app_list.list_stamps(me.platform.db, which, part)
    headers = {"Accept-Ranges": ", ".join(ORDERS)}
    if stamps:
        first, last = (getattr(stamp, wanted.field) for stamp in (stamps[0], stamps[-1]))
        headers |= paging.bounds(wanted, first, last, more=more)
    partial = more or bool(wanted.start or wanted.end)
    body = b"[%s]" % b",".join(_shown(me, stamps, extended))
    return Response(body, 206 if partial else 200, headers, media_type="application/json")


def _shown(me: Caller, stamps: Sequence[Stamp], extended: bool) -> list[bytes]:
    known = {}
    for stamp in stamps:
        sent = _sent.get((stamp.id, extended))
        if sent and sent[0] == stamp:
            known[stamp] = sent[1]
    new = {stamp.id: stamp for stamp in stamps if stamp not in known}
    if new:
        if len(_sent) > KEPT:
            _sent.clear()
        # Read after the stamp: what has changed meanwhile is at most newer than it, and the next stamp differs.
        for facts in app_list.find_facts(me.platform.db, list(new)):
            stamp = new[facts.id]
            shown = show.listed(me.platform.settings, facts, extended=extended)
            text = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()
            known[stamp] = text
            _sent[facts.id, extended] = (stamp, text)
    return [known[stamp] for stamp in stamps if stamp in known]  # one may be destroyed meanwhile
