"""analytics-generation: computes results from stored snapshots."""
