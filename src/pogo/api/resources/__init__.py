"""Endpoints, one file per topic. Each parses, authorises, calls a service, shows."""
