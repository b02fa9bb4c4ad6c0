"""Patterns for names and texts in HTTP requests, tokens and seed files."""

import re

NAME_PATTERN = r"[A-Za-z0-9._:@|-]{1,128}"
"""Names of tenants and customers. `#` is not allowed: it separates the parts of a stored key."""

SKU_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

_CONTROLS = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff"
"""C0 and C1 controls, controls of text direction, line and paragraph separators, and characters that SQS rejects."""
TEXT_PATTERN = rf"^[^{_CONTROLS}]+$"
"""Free text without control characters."""
OPTIONAL_TEXT_PATTERN = rf"^[^{_CONTROLS}]*$"
"""Like TEXT_PATTERN, but the text may be empty."""
_CONTROL = re.compile(f"[{_CONTROLS}]")


def first_control(text: str) -> int | None:
    """Return the position of the first character that TEXT_PATTERN does not allow, or None."""
    found = _CONTROL.search(text)
    return found.start() if found else None
