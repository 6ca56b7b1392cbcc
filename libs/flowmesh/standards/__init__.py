"""Expressions and errors of the two open standards, for readers and executors.

Serverless Workflow: runtime expressions (jq) and problem details. Amazon States Language: paths,
payload templates, intrinsic functions and choice rules.
"""
