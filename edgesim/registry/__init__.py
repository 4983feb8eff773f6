"""Container registries: push and pull artifacts, by the OCI's distribution specification."""
