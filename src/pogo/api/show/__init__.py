"""Models as the Platform API shows them: every property that its schema names, and a few that clients read besides."""
