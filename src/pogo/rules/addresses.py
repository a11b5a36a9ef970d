"""Addresses that every installation has. Pure."""

GATEWAY = "169.254.1.1"  # the host, as every container sees it
