"""The engine: finds the active job, claims it and runs it."""
