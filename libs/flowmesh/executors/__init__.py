"""The executors of the built-in task types, and the compilation of task specs.

Workers run them; a dry run uses the same ones with clients that send nothing.
"""
