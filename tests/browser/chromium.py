"""The installed browser: Debian's Chromium, or another build of it."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "chromium is not installed: `make browser` installs it"


def find_chromium() -> str | None:
    """Return the path of the browser; None if it is not installed."""
    return next((path for path in map(shutil.which, NAMES) if path), None)
