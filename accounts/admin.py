"""Tokens of all users in the admin, for administrators. Users manage their own tokens on the page "API tokens"."""

from __future__ import annotations

from axes import admin as _axes_admin  # noqa: F401 - registers the models of django-axes
from axes.models import AccessFailureLog, AccessLog
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework.authtoken import admin as _drf_admin  # noqa: F401 - registers TokenProxy
from rest_framework.authtoken.models import TokenProxy

from accounts import tokens
from accounts.models import ApiToken
from backfill.domain import Actor, Channel

admin.site.unregister([AccessLog, AccessFailureLog])  # these logs are off; the audit log has the failures
admin.site.unregister(TokenProxy)  # its table is empty; see accounts.signals


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    """Lists and revokes tokens. It creates none, because the key is shown only to its creator."""

    list_display = ("user", "name", "created_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "name")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django passes it
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:  # noqa: ARG002
        return False

    def delete_model(self, request: HttpRequest, obj: ApiToken) -> None:
        tokens.revoke(obj, by=Actor(request.user.get_username(), Channel.ADMIN))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        for token in queryset:
            self.delete_model(request, token)
