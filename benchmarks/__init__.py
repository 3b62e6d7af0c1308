"""Speed, shown and not asserted: `make bench`."""
