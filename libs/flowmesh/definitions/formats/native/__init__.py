"""Readers of the resources `Workflow` and `WorkflowTask` of `workflow.io/v1`."""
