"""States of the Amazon States Language."""
