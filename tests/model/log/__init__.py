"""The protocol of the log of order events: its transition table, its models, and the walk of recorded histories."""
