"""Export, and copies between stores."""
