"""How models get into the container."""
