"""Reader of the Amazon States Language."""
