"""The page on which users list, create and revoke their own API tokens."""

from __future__ import annotations

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import tokens
from accounts.models import NAME_LENGTH, ApiToken
from adminui import responses

_LIFETIMES = [
    ("30", gettext_lazy("30 days")),
    ("90", gettext_lazy("90 days")),
    ("365", gettext_lazy("1 year")),
    ("", gettext_lazy("Never")),
]


class TokenForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Used for"), max_length=NAME_LENGTH)
    days = forms.ChoiceField(label=gettext_lazy("Expires after"), choices=_LIFETIMES, initial="90", required=False)


def api_tokens(request: HttpRequest) -> HttpResponse:
    """Show the tokens. A POST creates one; its response shows the key, which is not stored."""
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    form, key = TokenForm(request.POST if request.method == "POST" else None), ""
    if request.method == "POST" and form.is_valid():
        days, now = form.cleaned_data["days"], timezone.now()
        expires_at = now + timedelta(days=int(days)) if days else None
        user = get_object_or_404(User, pk=request.user.pk)
        by = responses.actor(request)
        key = tokens.issue(user, name=form.cleaned_data["name"], expires_at=expires_at, by=by)
        form = TokenForm()
    now = timezone.now()
    own = ApiToken.objects.filter(user=request.user.pk)
    context = {
        "title": _("API tokens"),
        "form": form,
        "key": key,
        "tokens": [(token, token.is_expired(now)) for token in own],
    }
    return responses.render_page(request, "admin/api_tokens.html", context, status=422 if form.errors else 200)


def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """Delete one of the user's own tokens."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    token = get_object_or_404(ApiToken, pk=token_id, user=request.user.pk)
    tokens.revoke(token, by=responses.actor(request))
    messages.success(request, _("The token was revoked."))
    return HttpResponseRedirect(reverse("admin:api_tokens"))
