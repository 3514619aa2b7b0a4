"""Parts that the families are built from."""
