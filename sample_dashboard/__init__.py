"""A simulated dashboard with the export protocol of the real one, for `make run`, tests and demonstrations."""
