"""Executions, histories and payloads as rows and in memory. The only package that contains SQL."""
