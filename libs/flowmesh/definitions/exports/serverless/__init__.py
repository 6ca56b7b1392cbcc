"""Writer of Serverless Workflow documents."""
