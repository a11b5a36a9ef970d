"""The Ruby buildpack. Standard library only, Python 3.11 and later; bundler and rake do the work."""
