"""Customer of the token on the start page."""

TENANT = "acme"
CUSTOMER = "ada"
