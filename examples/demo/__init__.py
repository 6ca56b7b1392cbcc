"""What `make demo` runs: the suite under load, with failures on purpose, and a proof at the end."""
