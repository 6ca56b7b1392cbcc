"""Commands for executions: start, follow, control, explain, search."""
