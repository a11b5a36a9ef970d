"""One loop for each kind of truth. Each reads what shall be, looks at what is, and takes the next steps.

A loop may be killed anywhere and starts from scratch; a hint only makes its next turn come sooner.
"""
