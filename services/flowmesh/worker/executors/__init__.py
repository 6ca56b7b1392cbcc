"""The built-in executors, one module each, by the task type they run."""
