"""Customer for whom the start page has a token."""

TENANT = "acme"
CUSTOMER = "ada"
