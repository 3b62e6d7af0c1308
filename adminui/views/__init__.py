"""Each view reads the request, calls the service, and shows what a presenter makes of it."""
