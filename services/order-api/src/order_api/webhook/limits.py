"""Limits of the settings of webhook endpoints."""

MAX_DESCRIPTION_LENGTH = 200
