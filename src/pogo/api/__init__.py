"""The Platform API, version 3: parse, authorise, call a service, show. Rules of its own: docs/decisions/0008-api.md."""
