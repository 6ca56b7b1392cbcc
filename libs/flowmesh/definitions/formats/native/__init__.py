"""The resources `Workflow` and `WorkflowTask` of `workflow.io/v1`."""
