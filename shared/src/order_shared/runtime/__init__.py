"""Settings, logs, metrics, traces and the composition of the layers below: what a process runs with."""
