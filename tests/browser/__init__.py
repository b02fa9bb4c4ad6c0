"""Every web page in a browser, by one rule (`rule.py`). `make browser` installs the browser."""
