"""Deploying a service by its image tag: the tag moves, ECS is told, and the tag goes back if the image fails."""
