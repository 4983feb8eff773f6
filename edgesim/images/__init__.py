"""The serving image and what it is made of."""
