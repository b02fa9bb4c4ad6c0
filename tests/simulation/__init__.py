"""The services' own parts on a virtual clock: a run of hours takes seconds, and its seed repeats it exactly."""
