"""The page of a district on a date: its stored result, part by part, in words. Figures are those of the result."""

from adminui.presenters.district.page import District, district

__all__ = ["District", "district"]
