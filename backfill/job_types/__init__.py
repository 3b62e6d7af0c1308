"""The kinds of work a job can do."""
