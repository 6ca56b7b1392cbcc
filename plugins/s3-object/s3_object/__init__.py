"""Texts in buckets of S3."""
