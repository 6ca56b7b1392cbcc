"""Writer of Python code that builds a workflow."""
