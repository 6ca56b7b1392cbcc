"""The fleet: starts, scales and heals agents, which are processes that take tasks."""
