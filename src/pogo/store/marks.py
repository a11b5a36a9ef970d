"""Whose objects are in a store: each installation has a mark there, `installations/<id>`.

Nothing is deleted from a store that another one has marked too, or that another one took over by a restore: its
objects would be missing there.
"""

from __future__ import annotations

from pathlib import Path

from pogo.store import BlobStore

MARKS = "installations/"


def own_mark(id_file: Path) -> str:
    """The key of ours; "" before bin/up has made one."""
    return f"{MARKS}{id_file.read_text().strip()}" if id_file.exists() else ""


def foreign(store: BlobStore, own: str) -> str:
    """Why the objects are not ours alone; "" where they are."""
    there = set(store.list(MARKS))
    if own and own not in there:
        return "another installation has taken the objects over (pogo admin:restore was run there)"
    if others := there - {own}:
        return f"it has objects of another installation too ({min(others)})"
    return ""
