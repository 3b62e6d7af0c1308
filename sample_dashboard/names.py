"""Names of fictitious clubs, with the irregularities of real ones: commas, quotes, extra spaces."""

from __future__ import annotations

from sample_dashboard.rng import Rng

_FIRST_HALVES = (
    "Amber",
    "Birch",
    "Bright",
    "Cedar",
    "Clear",
    "Copper",
    "Drift",
    "Elder",
    "Fair",
    "Fern",
    "Glen",
    "Gold",
    "Hazel",
    "Iron",
    "Kestrel",
    "Lark",
    "Maple",
    "North",
    "Oak",
    "Otter",
    "Pine",
    "Quarry",
    "Raven",
    "Silver",
    "Thorn",
    "Willow",
)
_SECOND_HALVES = (
    "bank",
    "bridge",
    "brook",
    "bury",
    "cliff",
    "combe",
    "dale",
    "field",
    "ford",
    "gate",
    "haven",
    "hurst",
    "ley",
    "mere",
    "mouth",
    "port",
    "stead",
    "ton",
    "wick",
    "worth",
)
_BUSINESSES = ("Lumen Works", "Tidewater Bank", "Polder Rail", "Meridian Freight", "Hearth Insurance", "Basalt Energy")
_PLACE_PATTERNS = (
    "{} Speakers",
    "{} Speakers Club",
    "{} Toastmasters",
    "{} Toastmasters Club",
    "{} Communicators",
    "{} Orators",
    "{} Early Risers",
    "{} Lunchtime Speakers",
    "Voices of {}",
    "{} Evening Club",
    "Speak Up {}",
    "{} Storytellers",
    "Advanced Speakers of {}",
    "{} & District Speakers",
    "Speakers' Corner {}",
    "{} Online Speakers",
)
_ODD_PATTERNS = ('The "Ah" Counters of {}', "Speakers, Listeners and Friends of {}", "{} Leaders, Inc.")


def club_name(rng: Rng, key: str) -> str:
    """Return the ASCII name of the club `key`, sometimes with a trailing or a double space."""
    place = rng.one_of(_FIRST_HALVES, "first half", key) + rng.one_of(_SECOND_HALVES, "second half", key)
    if rng.happens(10, "business", key):
        place = rng.one_of(_BUSINESSES, "which business", key)
    patterns = _ODD_PATTERNS if rng.happens(6, "odd", key) else _PLACE_PATTERNS
    name = rng.one_of(patterns, "pattern", key).format(place)
    if rng.happens(4, "double space", key):
        name = name.replace(" ", "  ", 1)
    return f"{name} " if rng.happens(6, "trailing space", key) else name
