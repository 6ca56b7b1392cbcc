"""Sales taxes of orders."""
