"""Reader of Serverless Workflow DSL 1.0."""
