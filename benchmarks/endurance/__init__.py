"""Runs that go on for long, or that are ended from outside: what they leave, and whether they stay as they are."""
