"""The worker service: built-in executors, and a relay between remote workers and orchestrators."""
