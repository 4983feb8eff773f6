"""Bundles: archives of a run with everything that the run was made from."""
