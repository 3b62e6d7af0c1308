"""Views parse the request, call the service and render the values of a presenter."""
