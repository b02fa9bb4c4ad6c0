"""Set-up of the project's environments with uv, independent of the caller's own settings of uv, pip and Python.

It runs before anything is installed, so it imports the standard library only.
"""
