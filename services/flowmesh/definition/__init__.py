"""The definition service: workflows and reusable tasks, their versions, checks and plans."""
