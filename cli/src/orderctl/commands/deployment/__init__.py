"""The verbs of a deployment, one file each; all that change something translate into `deploy`."""
