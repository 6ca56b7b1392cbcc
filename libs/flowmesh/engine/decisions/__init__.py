"""What follows from commands."""
