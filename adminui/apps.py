"""Application configurations of the section and of the admin site."""

from django.apps import AppConfig
from django.contrib.admin import apps


class AdminUiConfig(AppConfig):
    name = "adminui"
    default = True


class BackfillAdminConfig(apps.AdminConfig):
    """Django's admin with `BackfillAdminSite` as its default site."""

    default = False
    default_site = "adminui.site.BackfillAdminSite"
