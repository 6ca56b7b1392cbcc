"""Routes of workflows, tasks and templates."""
