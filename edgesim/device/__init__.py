"""The simulated device: image, container, limits, and what comes back from inside."""
