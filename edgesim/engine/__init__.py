"""Docker Engine: its containers, images, volumes and contexts, buildx and Compose. Only this package speaks to it."""
