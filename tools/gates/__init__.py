"""The eight gates of a stage, and the proof of each release."""
