"""Which ref updates of a push are accepted, and which commit is deployed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

DEPLOY_BRANCHES = ("main", "master")  # in this order, when a push has both
NOTHING = "0" * 40
_NAMED = 5


@dataclass(frozen=True)
class RefUpdate:
    """old, new: commit ids in hex; NOTHING: the ref is made or deleted. ref: `refs/heads/main`."""

    old: str
    new: str
    ref: str

    @property
    def branch(self) -> str | None:
        """The branch's name, None for tags and others."""
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else None

    @property
    def deletes(self) -> bool:
        return not self.new.strip("0")


@dataclass(frozen=True)
class Decision:
    """refusal: why nothing of the push is accepted. deploy: the update to build. notes: lines for the pusher."""

    refusal: list[str] = field(default_factory=list)
    deploy: RefUpdate | None = None
    notes: list[str] = field(default_factory=list)


def parse(lines: bytes) -> list[RefUpdate]:
    """The input of a pre-receive hook: `<old> <new> <ref>` a line. ValueError where it is not that."""
    updates = []
    for line in lines.decode(errors="replace").splitlines():
        old, new, ref = line.split(" ", 2)
        updates.append(RefUpdate(old, new, ref))
    return updates


def decide(updates: Sequence[RefUpdate]) -> Decision:
    """All or nothing, as a pre-receive hook is.

    `main` and `master` are deployed. Another branch beside them, and tags, are stored without a build; a
    push of other branches alone is refused: who pushes to an app means to deploy, so silence would mislead.
    """
    deploys = {update.branch: update for update in updates if update.branch in DEPLOY_BRANCHES}
    for branch, update in deploys.items():
        if update.deletes:
            return Decision(
                refusal=[
                    f"Cannot delete the branch {branch}: deletion prohibited, it is what the app runs.",
                    "To stop the app, scale it to 0; to remove it, run: pogo apps:destroy",
                ]
            )
    chosen = next((deploys[branch] for branch in DEPLOY_BRANCHES if branch in deploys), None)
    notes = []
    if len(deploys) > 1:
        notes.append("This push has both main and master. main is built; master is stored only.")
    others = [u.branch for u in updates if u.branch and u.branch not in DEPLOY_BRANCHES and not u.deletes]
    if others:
        names = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
        if chosen is None:
            return Decision(
                refusal=[
                    f"Nothing was deployed: only the branches main and master are, and this push has {names}.",
                    f"To deploy it, run: git push <remote> {others[0]}:main",
                ]
            )
        notes.append(f"Only main and master are deployed; stored without a build: {names}.")
    return Decision(deploy=chosen, notes=notes)


def moved(update: RefUpdate, now: str | None) -> list[str]:
    """Why a deploy that waited for another one cannot go on; empty if its branch is where the pusher saw it.

    now: what the branch is at, None where it does not exist. git itself would notice after the build only.
    """
    if (now or NOTHING) == update.old:
        return []
    if now == update.new:
        return [f"This commit was deployed by another push meanwhile: {update.branch} is at {update.new[:8]} already."]
    where = f"is at {now[:8]} now" if now else "is gone"
    return [
        f"Another push was faster: {update.branch} {where}. Nothing of yours was built.",
        "Fetch it, merge, and push again; or push again with --force.",
    ]
