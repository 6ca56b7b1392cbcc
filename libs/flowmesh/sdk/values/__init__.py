"""The values that the SDK takes and returns."""
