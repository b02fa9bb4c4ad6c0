"""The verbs of `orderctl local`."""
