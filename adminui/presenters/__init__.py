"""Presenters turn domain values into the values that templates show."""
