"""Setup of the project's environments with uv, independent of the caller's settings of uv, pip and Python.

It runs before anything is installed, so it imports only the standard library.
"""
