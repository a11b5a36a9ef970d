"""The `pogo` command: a client of the Platform API over HTTP, with the names, flags and output of the official one."""
