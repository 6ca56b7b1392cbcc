"""Packages of the five languages: built into one folder, and published to nowhere as a trial."""
