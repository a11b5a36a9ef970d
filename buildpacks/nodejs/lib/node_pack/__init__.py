"""The Node.js buildpack. Python's standard library only, Python 3.11 and later."""
