"""The modules that run: a function per type builds one from its configuration."""
