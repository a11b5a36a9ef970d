"""Which passwords are taken. As NIST SP 800-63B: long enough, not to be guessed; no rules about characters.

How many guesses one takes is what zxcvbn says (Wheeler, USENIX Security 2016): it knows leaked passwords, names and
words, also with capitals, years, digits and signs added, with 3 for e, as rows of keys, dates and repetitions.
"""

from __future__ import annotations

import re
from threading import Lock

from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

SHORTEST = 8
LONGEST = 1000
_READ = 32  # characters; of 72, made for it, zxcvbn takes seconds
_SAFE = 3  # of 0 to 4: 100 million guesses and more, "offers moderate protection from offline slow-hash scenario"
_LOCAL_PART = 4  # a shorter one is found in words by chance
_ADVICE = "Choose another one: three or four words that do not belong together are good."
_PLATFORM = ("pogo", "pogoapp", "heroku", "herokuapp")
_LEET = str.maketrans("4@310!5$7+", "aaeioisstt")
_LEAKED = frozenset(FREQUENCY_LISTS["passwords"])
_ADDED = 8  # digits and signs around a leaked password that make it no other
_guessing = Lock()  # zxcvbn keeps the words of a call in a global


def complaint(password: str, email: str = "") -> str | None:
    """Why the password of the account with this e-mail cannot be this one; None where it can."""
    if len(password) < SHORTEST:
        return f"A password needs at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"A password has at most {LONGEST} characters."
    local = email.lower().partition("@")[0]
    plain = password.lower()
    spellings = (plain, plain.translate(_LEET))
    if len(local) >= _LOCAL_PART and any(local in one for one in spellings):
        return "The password must not hold what stands before the @ of your e-mail. Choose another one."
    if any(name in one for one in spellings for name in ("pogoapp", "herokuapp")):
        return "The password must not hold the name of the platform. Choose another one."
    if any(_is_leaked(one) for one in spellings):
        return "This password is a variant of one that anybody tries first. " + _ADVICE
    known = [*_PLATFORM, *re.findall(r"[^\W_]{3,}", email.lower())]
    with _guessing:
        found = zxcvbn(password[:_READ], known)
    if found["score"] >= _SAFE:
        return None
    why = found["feedback"]["warning"] or "This password is among the first that anybody tries."
    return f"{why.rstrip('.')}. {_ADVICE}"


def _is_leaked(plain: str) -> bool:
    stem = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)
    return len(plain) - len(stem) <= _ADDED and not _LEAKED.isdisjoint((plain, stem, stem.translate(_LEET)))
