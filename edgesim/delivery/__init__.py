"""How models get into a container: mounts, volumes and packed images."""
