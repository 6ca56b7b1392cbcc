"""What the two open standards mean by their expressions and errors, for whoever reads or runs them.

Serverless Workflow: runtime expressions (jq) and problem details. Amazon States Language: paths,
payload templates, intrinsic functions and choice rules.
"""
