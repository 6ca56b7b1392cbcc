"""One module for each family of built-in task types; each binds `TASK_TYPES`."""
