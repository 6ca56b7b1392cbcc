"""The parts of the blocking client; generated, do not edit."""
