"""Deployment commands. Each command that ships an image calls `running.ship`."""
