"""Deployment of a service: move its live tag to an image, let ECS deploy it, move the tag back after a failure."""
