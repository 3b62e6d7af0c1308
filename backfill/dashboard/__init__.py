"""The dashboard: how it is asked (protocol, client), and what its answers are worth (csv, calendar_page)."""
