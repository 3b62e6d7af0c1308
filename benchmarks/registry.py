"""All sections, in the order of a full run."""

from __future__ import annotations

from benchmarks.figures import Section
from benchmarks.sections import (
    admin_section,
    allowed_rate,
    analytics,
    collection,
    coverage_map,
    dataset,
    estimates,
    firestore,
    firestore_costs,
    growth,
    import_rate,
    keep,
    preview,
    result_pages,
    resume,
)

SECTIONS: tuple[Section, ...] = (
    preview.SECTION,
    admin_section.SECTION,
    coverage_map.SECTION,
    keep.SECTION,
    resume.SECTION,
    collection.ON_SQLITE,
    collection.ON_POSTGRESQL,
    allowed_rate.MINUTE,
    analytics.SECTION,
    dataset.SECTION,
    import_rate.SECTION,
    result_pages.SECTION,
    growth.SECTION,
    firestore.DOCUMENTS,
    firestore.METADATA,
    firestore.RESUME,
    firestore_costs.SECTION,
    analytics.IN_PROCESSES,
    growth.MILLION,
    estimates.SECTION,
    allowed_rate.TEN_MINUTES,
)


def section_named(name: str) -> Section:
    """Raises KeyError with a message if there is no such section."""
    for section in SECTIONS:
        if section.name == name:
            return section
    raise KeyError(f"There is no section {name!r}. The sections are: {', '.join(s.name for s in SECTIONS)}.")
