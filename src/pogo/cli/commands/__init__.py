"""What each command does: one module per topic, one function per command, listed in `pogo.cli.table`."""
