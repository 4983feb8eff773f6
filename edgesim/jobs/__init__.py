"""The jobs: what each command does, from its beginning to its end."""
