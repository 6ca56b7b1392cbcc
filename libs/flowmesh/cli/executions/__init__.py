"""Commands on executions: start, follow, steer, explain, search."""
