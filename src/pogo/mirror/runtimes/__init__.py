"""Recipes: what official buildpacks download, made from the registries of Debian, PyPI and npm."""

from __future__ import annotations

from pogo.mirror import Recipe, Supplies


def recipes(supplies: Supplies) -> list[Recipe]:
    """Every recipe, in the order in which they are asked. No two answer for one host."""
    return []


def hosts() -> tuple[str, ...]:
    """The names that the recipes answer for; the mirror's authority may sign for these alone."""
    return ()
