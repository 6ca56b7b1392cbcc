"""The host: builds an application, starts and stops it."""
