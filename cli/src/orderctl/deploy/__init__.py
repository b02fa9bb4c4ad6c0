"""Deployment of a service by its image tag: the tag moves, ECS deploys, and the tag moves back after a failure."""
