"""What names and texts may be made of, wherever they come in: over HTTP, in a token, in a seed file."""

NAME_PATTERN = r"[A-Za-z0-9._:@|-]{1,128}"
"""Tenants and customers. No `#`: it separates the parts of a stored key."""

SKU_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

TEXT_PATTERN = r"^[^\x00-\x1f\x7f\ufffe\uffff]+$"
"""Text for people: no control characters, and none that SQS refuses in a message."""
