"""The REST API: views parse the request, call the service and render the result."""
