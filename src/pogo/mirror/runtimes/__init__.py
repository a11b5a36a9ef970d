"""Recipes: what official buildpacks download, made from the registries of Debian, PyPI and npm."""

from __future__ import annotations

from pogo.mirror import Recipe, Supplies
from pogo.mirror.runtimes.compiled import Python, Ruby
from pogo.mirror.runtimes.debian import DebianSources
from pogo.mirror.runtimes.go import Go
from pogo.mirror.runtimes.node import Node
from pogo.mirror.runtimes.rubygems import Bundler
from pogo.mirror.runtimes.uv import Uv


def recipes(supplies: Supplies) -> list[Recipe]:
    """Every recipe, in the order in which they are asked. No two answer for one host."""
    debian = DebianSources(supplies)
    ruby = Ruby(supplies, debian)
    return [
        Node(supplies),
        Go(supplies, debian),
        Python(supplies, debian),
        ruby,
        Bundler(supplies, ruby),
        Uv(supplies),
    ]


def hosts() -> tuple[str, ...]:
    """The names that the recipes answer for; the mirror's authority may sign for these alone."""
    return (*Node.hosts, *Go.hosts, *Python.hosts, *Ruby.hosts, *Bundler.hosts, *Uv.hosts)
