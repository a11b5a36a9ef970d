"""Which updates of a push are accepted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pogo.rules.git_refs import NOTHING, Decision, RefUpdate, decide, moved, parse

A, B, C = "a" * 40, "b" * 40, "c" * 40


def update(ref: str, old: str = NOTHING, new: str = A) -> RefUpdate:
    return RefUpdate(old, new, ref)


def test_hook_input_is_parsed() -> None:
    assert parse(f"{A} {B} refs/heads/main\n{NOTHING} {C} refs/tags/v 1\n".encode()) == [
        RefUpdate(A, B, "refs/heads/main"),
        RefUpdate(NOTHING, C, "refs/tags/v 1"),
    ]


def test_main_or_master_is_deployed() -> None:
    for branch in ("main", "master"):
        decision = decide([update(f"refs/heads/{branch}")])
        assert decision.deploy and decision.deploy.branch == branch
        assert not decision.notes and not decision.refusal


def test_both_make_one_build_of_main() -> None:
    decision = decide([update("refs/heads/master", new=B), update("refs/heads/main")])
    assert decision.deploy and decision.deploy.branch == "main"
    assert "both main and master" in decision.notes[0]


def test_another_branch_alone_is_refused_and_beside_the_deployed_one_stored() -> None:
    decision = decide([update("refs/heads/feature"), update("refs/tags/v1")])
    assert decision.deploy is None
    assert "only the branches main and master" in decision.refusal[0]
    assert "feature:main" in decision.refusal[1]
    both = decide([update("refs/heads/feature"), update("refs/heads/main")])
    assert both.deploy and not both.refusal
    assert both.notes == ["Only main and master are deployed; stored without a build: feature."]
    assert decide([update("refs/tags/main")]) == Decision()


def test_many_branches_are_not_all_named() -> None:
    decision = decide([update(f"refs/heads/b{n}") for n in range(300)])
    assert len(decision.refusal[0]) < 160 and "295 more" in decision.refusal[0]


def test_the_deployed_branch_cannot_be_deleted() -> None:
    assert "deletion prohibited" in decide([update("refs/heads/main", old=A, new=NOTHING)]).refusal[0]
    assert not decide([update("refs/heads/feature", old=A, new=NOTHING)]).refusal


def test_a_branch_that_moved_meanwhile() -> None:
    push = update("refs/heads/main", old=A, new=B)
    assert moved(push, A) == []
    assert "deployed by another push" in moved(push, B)[0]
    assert "faster" in moved(push, C)[0]
    assert "is gone" in moved(push, None)[0]
    assert moved(update("refs/heads/main"), None) == []


@given(st.lists(st.tuples(st.sampled_from(["main", "master", "x", "y"]), st.sampled_from([NOTHING, A, B]))))
def test_deploys_only_what_is_pushed(refs: list[tuple[str, str]]) -> None:
    updates = [update(f"refs/heads/{name}", old=C, new=new) for name, new in dict(refs).items()]
    decision = decide(updates)
    if decision.refusal:
        assert decision.deploy is None
        deployed = [u for u in updates if u.branch in ("main", "master")]
        assert any(u.deletes for u in deployed) or not deployed
    if decision.deploy:
        assert decision.deploy in updates and not decision.deploy.deletes
