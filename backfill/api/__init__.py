"""The REST door: parse, call one method of the service, render what it returns."""
