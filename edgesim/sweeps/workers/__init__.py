"""Cells of a sweep on other machines: Dask's scheduler connects, edgesim places each cell on a worker that suits it."""
