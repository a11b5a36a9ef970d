"""The nouns, as tables. Only `services` writes them."""

from pogo.model.apps import App, Collaborator, Domain, Formation
from pogo.model.base import Base, utcnow
from pogo.model.deploys import Build, Dyno, Lease, LogSession, Release, Slug
from pogo.model.people import Authorization, User

__all__ = [
    "App",
    "Authorization",
    "Base",
    "Build",
    "Collaborator",
    "Domain",
    "Dyno",
    "Formation",
    "Lease",
    "LogSession",
    "Release",
    "Slug",
    "User",
    "utcnow",
]
