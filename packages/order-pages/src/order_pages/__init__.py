"""Server-rendered web pages: frame, style, security headers, form check and static files.

Every page works without JavaScript. The one vendored script, htmx with its server-sent events, updates it live.
"""
