"""Which passwords are taken. As NIST SP 800-63B: long enough, not among the usual ones; no rules about characters."""

from __future__ import annotations

import re

SHORTEST = 8
LONGEST = 1000

# The commonest ones of leaked lists that are long enough to be tried.
_USUAL = frozenset(
    re.findall(
        r"\S+",
        """password password1 password12 password123 password1234 passw0rd p@ssw0rd p@ssword pa$$word 12345678 123456789
    1234567890 0123456789 87654321 987654321 11111111 00000000 88888888 12341234 11223344 1q2w3e4r 1q2w3e4r5t
    1qaz2wsx qwertyui qwertyuiop qwerty123 qwerty12 qwer1234 asdfghjk asdfghjkl zxcvbnm1 abcd1234 abc12345 abcdefgh
    iloveyou iloveyou1 princess sunshine football baseball superman starwars whatever trustno1 welcome1 welcome123
    letmein1 letmein123 changeme changeme1 changeme123 admin123 admin1234 administrator computer internet michelle
    jennifer jonathan samantha alexander liverpool chelsea1 charlie1 monkey123 dragon123 master123 shadow123
    testtest test1234 password! secret123 herokuapp""",
    )
)


def complaint(password: str, email: str = "") -> str | None:
    """Why the password of the account with this e-mail cannot be this one; None where it can."""
    plain = password.strip().lower()
    if len(password) < SHORTEST:
        return f"A password needs at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"A password has at most {LONGEST} characters."
    if plain in _USUAL or len(set(plain)) < 3:
        return "This password is among the first that anybody tries. Choose another one."
    if email and plain in (email.lower(), email.lower().partition("@")[0]):
        return "The password must not be the e-mail."
    return None
