"""Results as files: what a run gave, and what was verified."""
