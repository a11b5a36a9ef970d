"""pogo-agent: the only code of the platform that runs as root. Standard library only."""
