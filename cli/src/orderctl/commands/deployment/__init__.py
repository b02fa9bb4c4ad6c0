"""Deployment commands, one file each. Each command that ships an image calls `running.ship`."""
