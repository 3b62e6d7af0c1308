"""The Django site: settings, addresses, and the door for WSGI servers."""
