"""Icons of icon_sprite.html."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """`{% icon "check" %}`. Screen readers skip the icon and read its label."""
    return format_html('<svg aria-hidden="true"><use href="#bfi-{}" /></svg>', name)
