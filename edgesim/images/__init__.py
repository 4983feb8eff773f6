"""Container images that edgesim builds: the serving image, and images of Debian packages for stacks."""
