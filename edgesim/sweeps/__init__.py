"""Sweeps: many boards, models and options, each combination a cell with one result."""
