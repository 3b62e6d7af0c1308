"""One module for each section."""
