"""The admin site with the Backfill section."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, get_script_prefix, include, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminui.permissions import VIEW


class BackfillAdminSite(AdminSite):
    site_title = gettext_lazy("Dashboard history")
    site_header = gettext_lazy("Dashboard history administration")

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from adminui.urls import account_urls, section_urls

        return [path("backfill/", include(section_urls(self))), *account_urls(self), *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), "site_url": get_script_prefix()}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps: list[Any] = super().get_app_list(request, app_label)
        if app_label is not None or not self.has_permission(request):
            return apps
        apps = [*apps, self._section("account", _("Your account"), _("API tokens"), "ApiTokens", "admin:api_tokens")]
        if not request.user.has_perm(VIEW):
            return apps
        return [self._section("backfill", _("Backfill"), _("Backfill jobs"), "Backfill", "admin:backfill"), *apps]

    def _section(self, app_label: str, title: str, name: str, object_name: str, url_name: str) -> dict[str, Any]:
        """Return a section of the index with one page that belongs to no model."""
        url = reverse(url_name, current_app=self.name)
        entry = {
            "name": name,
            "object_name": object_name,
            "admin_url": url,
            "add_url": None,
            "perms": {"view": True},
            "view_only": True,
        }
        return {"name": title, "app_label": app_label, "app_url": url, "has_module_perms": True, "models": [entry]}
