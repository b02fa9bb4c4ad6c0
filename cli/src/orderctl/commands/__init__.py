"""Commands of `orderctl`."""
