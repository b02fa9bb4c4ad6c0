"""Commands of `orderctl local`."""
