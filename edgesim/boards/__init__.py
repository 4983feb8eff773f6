"""A simulated board, up and running."""
