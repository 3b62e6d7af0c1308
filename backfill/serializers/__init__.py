"""The JSON of jobs, items, previews and results, for the API, `--json` and webhooks."""
