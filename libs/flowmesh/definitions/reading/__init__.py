"""Source bytes as documents, and the resources in them."""
