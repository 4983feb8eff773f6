"""Measurement: resource usage, statistics, steady state, validity, and outputs compared with a reference."""
