"""What `bin/up` and `bin/down` do once Python runs: each stage looks first and then does only what is missing."""
