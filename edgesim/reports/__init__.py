"""A result as people and programs read it."""
