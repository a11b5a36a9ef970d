"""The buildpack of static sites. Python's standard library only."""
