"""Serverless Workflow documents."""
