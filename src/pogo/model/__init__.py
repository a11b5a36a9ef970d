"""The nouns, as tables. Only `services` writes them."""

from pogo.model.apps import App, Collaborator, Domain, Formation
from pogo.model.base import Base, utcnow
from pogo.model.certificates import AcmeAccount, AcmeOrder, SniEndpoint
from pogo.model.deploys import Build, Dyno, Lease, LogDrain, LogSession, Release, Slug
from pogo.model.people import Authorization, User
from pogo.model.setups import AppSetup, BuildpackName, Mirror
from pogo.model.teams import Team, TeamInvitation, TeamMember

__all__ = [
    "AcmeAccount",
    "AcmeOrder",
    "App",
    "AppSetup",
    "Authorization",
    "Base",
    "Build",
    "BuildpackName",
    "Collaborator",
    "Domain",
    "Dyno",
    "Formation",
    "Lease",
    "LogDrain",
    "LogSession",
    "Mirror",
    "Release",
    "Slug",
    "SniEndpoint",
    "Team",
    "TeamInvitation",
    "TeamMember",
    "User",
    "utcnow",
]
