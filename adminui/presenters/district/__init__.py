"""The page of a district on a date: its stored result as tables and texts."""

from adminui.presenters.district.page import District, district

__all__ = ["District", "district"]
