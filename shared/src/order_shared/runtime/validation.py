"""Patterns for names and texts in HTTP requests, tokens and seed files."""

NAME_PATTERN = r"[A-Za-z0-9._:@|-]{1,128}"
"""Names of tenants and customers. `#` is not allowed: it separates the parts of a stored key."""

SKU_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

TEXT_PATTERN = r"^[^\x00-\x1f\x7f\ufffe\uffff]+$"
"""Free text without control characters and without the characters that SQS rejects in a message."""
