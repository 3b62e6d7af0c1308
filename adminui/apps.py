"""The section as an application, and the admin that holds it."""

from django.apps import AppConfig
from django.contrib.admin import apps


class AdminUiConfig(AppConfig):
    name = "adminui"
    default = True


class BackfillAdminConfig(apps.AdminConfig):
    """Django's admin, with the section in it."""

    default = False
    default_site = "adminui.site.BackfillAdminSite"
