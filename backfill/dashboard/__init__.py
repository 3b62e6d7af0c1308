"""The dashboard: requests (protocol, client, network) and responses (reports, calendar_page, home_page, robots)."""
