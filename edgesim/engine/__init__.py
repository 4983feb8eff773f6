"""Everything that speaks to the Docker Engine, and nothing else does."""
