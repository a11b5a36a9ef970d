"""Pogoapp: apps and processes, not sites and servers."""

__version__ = "0.1.0"
