"""A campaign against the service: real processes, killed, stopped, cut off and misled; and an independent checker.

`make chaos SEED=7 MINUTES=5` runs it.
"""
