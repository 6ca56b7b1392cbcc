"""Tasks of Serverless Workflow."""
