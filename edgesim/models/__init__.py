"""Models: found, described, and sample models to begin with."""
