"""Result files: their sections, the results of runs and stacks, verdicts, and the journal of a run."""
