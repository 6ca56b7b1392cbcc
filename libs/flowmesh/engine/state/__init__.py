"""The state of an execution, its nodes, and copies of it."""
