"""Stack images: what every build and dyno stands on. Built by operators, as root; nothing of it stays running."""
