"""The observe service: metrics, log records and calls that the suite keeps of itself."""
