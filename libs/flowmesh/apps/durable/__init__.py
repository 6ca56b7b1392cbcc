"""Durable runs of an application: executions of a suite, which this process works on.

names      ids of workflows and task types, and the digest of a pipeline
messages   the input and the output of an execution: a request, an answer
suite      the suite that the application is attached to
journal    the journal of a run, over a durable handler
worker     the worker of the application, and the runs of earlier releases
runs       starts of runs: by requests, triggers, and other pipelines
"""
