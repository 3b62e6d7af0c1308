"""The Django site: settings, URLs, the WSGI and ASGI applications."""
