"""Web pages: HTML from the server, without scripts. The middleware RequestContext adds their security headers."""
