"""What the person who pushes sees. Heroku's form: `-----> ` a topic, 7 spaces a detail, ` !     ` a warning."""

from __future__ import annotations


def topic(text: str) -> None:
    print(f"-----> {text}", flush=True)


def detail(text: str) -> None:
    print(f"       {text}".rstrip(), flush=True)


def warning(text: str) -> None:
    print(f" !     {text}".rstrip(), flush=True)


def megabytes(size: int) -> str:
    """A size in bytes as Heroku prints it: `45.2M`, small ones `12K`."""
    return f"{max(size, 1) / 1024:.0f}K" if size < 100 * 1024 else f"{size / 1024**2:.1f}M"
