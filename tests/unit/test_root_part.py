"""How much code runs as root, in the agent and its monitors: docs/security.md says the number, and why it is that."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs/security.md"
MOST = 2_743
LOADED = """
import sys, pogo.agent.command
print(*(module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "pogo"))
"""
SPACE = {getattr(tokenize, name) for name in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER")}


def code_lines(file: Path) -> int:
    """Without blank lines, comments and docstrings."""
    source = file.read_text()
    texts = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr))
    said = {
        line
        for node in texts
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    tokens = (token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in SPACE)
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - said)


def test_the_root_part_does_not_grow() -> None:
    args = [sys.executable, "-c", LOADED]
    files = subprocess.run(args, capture_output=True, text=True, check=True).stdout.split()
    lines = {file.rpartition("/pogo/")[2]: code_lines(Path(file)) for file in files}
    total = sum(lines.values())
    assert "agent/server.py" in lines and "agent/cleaning.py" not in lines
    assert total <= MOST, f"{total} lines, more than MOST. Does all of it need root? {lines}"
    told = re.search(r"loads ([\d,]+) lines of code", DOCUMENT.read_text())
    assert told, "docs/security.md does not say how many lines it is"
    assert abs(int(told[1].replace(",", "")) - total) < 50, f"docs/security.md says {told[1]}; it is {total}"
