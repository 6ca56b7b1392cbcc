"""Learned routing: tasks go first to the workers that were faster at their kind."""
