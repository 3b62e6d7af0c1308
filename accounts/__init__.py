"""Accounts: API tokens, limits for failed sign-ins, and their entries in the log and the audit log."""
