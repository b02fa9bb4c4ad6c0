"""What operators do to a running environment, each thing recorded."""
