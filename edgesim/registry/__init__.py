"""Container registries: what edgesim publishes there, and reads from there, by the OCI's distribution specification."""
