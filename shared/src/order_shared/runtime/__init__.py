"""Runtime of a process: settings, logs, metrics, traces, and the composition of the layers below."""
