"""Python that builds a workflow."""
