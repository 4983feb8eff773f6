"""A result as one page to look at in a browser, whole in one file."""
