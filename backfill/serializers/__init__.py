"""Serializers that render values as JSON for the API, `--json` and webhooks, and describe it for OpenAPI."""
