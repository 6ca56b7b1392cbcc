"""Routes that name a project instead of its namespace."""
