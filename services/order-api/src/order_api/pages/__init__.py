"""Web pages: HTML from the server, without scripts. The middleware PageHeaders adds their security headers."""
