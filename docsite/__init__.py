"""The documentation as a site: docs/, a page for each command, and the Python names by their docstrings."""
