"""The application layer: commands, planning and queries. Every entry point calls it."""
