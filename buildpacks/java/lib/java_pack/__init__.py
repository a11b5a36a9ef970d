"""The Java buildpack. Standard library only, Python 3.11 and later."""
