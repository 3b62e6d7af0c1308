"""All addresses of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from backfill.api.probes import Health, Readiness
from backfill.api.prometheus import Metrics

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:backfill")),
    path("admin/", admin.site.urls),
    path("api/", include("backfill.api.urls")),
    path("healthz", Health.as_view()),
    path("readyz", Readiness.as_view()),
    path("metrics", Metrics.as_view()),
]
