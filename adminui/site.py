"""The admin site with the Backfill section."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, include, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.permissions import VIEW


class BackfillAdminSite(AdminSite):
    site_title = gettext_lazy("Dashboard history")
    site_header = gettext_lazy("Dashboard history administration")

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from adminui.urls import section_urls

        return [path("backfill/", include(section_urls(self))), *super().get_urls()]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps: list[Any] = super().get_app_list(request, app_label)
        if app_label is not None or not request.user.has_perm(VIEW):
            return apps
        url = reverse("admin:backfill", current_app=self.name)
        entry = {
            "name": _("Backfill jobs"),
            "object_name": "Backfill",
            "admin_url": url,
            "add_url": None,
            "perms": {"view": True},
            "view_only": True,
        }
        section = {
            "name": _("Backfill"),
            "app_label": "backfill",
            "app_url": url,
            "has_module_perms": True,
            "models": [entry],
        }
        return [section, *apps]
