"""Consuming: deliveries to consumers, and their settlement."""
