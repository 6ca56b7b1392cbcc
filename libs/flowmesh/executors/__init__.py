"""The built-in executors, one module each, by the task type they run, and how specs are made ready.

Workers run them; a dry run runs the same ones with nobody at the other end.
"""
