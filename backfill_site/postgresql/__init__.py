"""Django's backend for PostgreSQL, with what connections through a pooler need."""
