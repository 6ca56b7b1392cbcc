"""The steps of pipelines: each function compiles the configuration of one to a call."""
