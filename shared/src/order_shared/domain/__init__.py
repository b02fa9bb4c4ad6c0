"""Pure business types and rules: no I/O, no AWS, no HTTP."""
