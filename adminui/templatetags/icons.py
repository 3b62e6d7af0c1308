"""Icons of the sprite that each page of the section holds."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """`{% icon "check" %}`; who hears the page hears the words beside it."""
    return format_html('<svg aria-hidden="true"><use href="#bfi-{}" /></svg>', name)
