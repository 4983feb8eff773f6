"""Results over time: small files in a directory or on a git branch, series of figures, and the steps in them.

A history reads result files only, as gates do, and works on a machine that cannot run a board.
"""
