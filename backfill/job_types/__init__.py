"""Job types: how jobs are planned and how their items are processed."""
