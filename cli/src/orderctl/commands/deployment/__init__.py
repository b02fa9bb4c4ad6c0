"""Verbs of a deployment, one file each. Those that ship an image all come down to `deploy`."""
