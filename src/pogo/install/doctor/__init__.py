"""`pogo doctor`: whether this machine has what the platform needs, and whether the installation is well.

bin/up asks the same questions of the machine before it changes anything, and refuses what cannot work.
"""
