"""Webhooks: what is delivered to the receiver, and how."""

from backfill.webhooks.dispatcher import WebhookDispatcher, message_body
from backfill.webhooks.sender import key_of, signature

__all__ = ["WebhookDispatcher", "key_of", "message_body", "signature"]
