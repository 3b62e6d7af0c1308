"""All clubs of the sample world in all years.

Figures depend on the seed, the club and the date only. The figures of a club at the closing of June are those at the
start of the next program year.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from sample_dashboard.names import club_name
from sample_dashboard.reformation import REFORMATION_YEAR, Reformation
from sample_dashboard.rng import Rng
from sample_dashboard.seasons import EPOCH, GOOD_STANDING, Club, Ramp, Season, ordinal
from sample_dashboard.standings import LAST_LEGACY_YEAR, Standing, standing_on


class Population:
    """All clubs of the world. A district has `clubs` clubs, plus or minus 20 %.

    The figures of a club depend on its first district (its origin), also after the reformation.
    """

    def __init__(self, rng: Rng, clubs: int, reformation: Reformation) -> None:
        self._rng = rng
        self._clubs = clubs
        self._reformation = reformation
        self.seasons = lru_cache(maxsize=256)(self._seasons)
        self._seasons_from = lru_cache(maxsize=256)(self._seasons_of_origin)
        self.standings = lru_cache(maxsize=256)(self._standings)
        self.payments_before = lru_cache(maxsize=2048)(self._payments_before)

    def _standings(self, district: str, year: int, day: date) -> tuple[Standing, ...]:
        """Return the clubs that are listed on a day, by division, area and number."""
        listed = [
            standing_on(season, day)
            for season in self.seasons(district, year)
            if season.club.chartered_on is None or season.club.chartered_on <= day
        ]
        return tuple(sorted(listed, key=lambda s: (s.division, s.area, s.season.club.number)))

    def _payments_before(self, district: str, year: int) -> int:
        """Return the payments in the previous program year of the clubs that a district has in `year`."""
        return sum(standing_on(s, date(year, 7, 31)).payments for s in self._seasons(district, year, earlier=1))

    def _seasons(self, district: str, year: int, *, earlier: int = 0) -> tuple[Season, ...]:
        """Return the seasons, `earlier` years before, of the clubs that a district has in `year`."""
        if year < REFORMATION_YEAR:
            return self._seasons_from(district, year - earlier)
        reformation = self._reformation
        return tuple(
            season
            for origin in reformation.origins(district)
            for season in self._seasons_from(origin, year - earlier)
            if reformation.district_of(season.club.key, origin, self._rng) == district
        )

    def _seasons_of_origin(self, district: str, year: int) -> tuple[Season, ...]:
        count = max(1, self._clubs * self._rng.between(80, 120, "clubs", district) // 100)
        founders = [self._founder(district, index, count) for index in range(count)]
        newer = [
            self._newcomer(district, born, index, count)
            for born in range(EPOCH, year + 1)
            for index in range(self._newcomers(district, born, count))
        ]
        drive = self._rng.between(60, 140, "drive", district)
        return tuple(
            self._season(club, year, district, drive)
            for club in (*founders, *newer)
            if not any(self._suspension(club, past) for past in range(club.charter_year + 1, year))
        )

    def _newcomers(self, district: str, born: int, count: int) -> int:
        return min(self._rng.between(0, -(-count * 6 // 100), "newcomers", district, born), 31)

    def _founder(self, district: str, index: int, count: int) -> Club:
        key = f"{district}/{index}"
        number = (_slot(district) * 400 + index) * 17 + self._rng.between(300, 316, "number", key)
        return self._club(key, f"{number:08d}", count, None)

    def _newcomer(self, district: str, born: int, index: int, count: int) -> Club:
        key = f"{district}/{born}/{index}"
        first = 28_600_000 if born >= 2022 else 7_000_000
        number = first + ((born - EPOCH) * 256 + _slot(district)) * 32 + index
        day = date.fromordinal(date(born, 7, 5).toordinal() + self._rng.between(0, 320, "charter", key))
        return self._club(key, f"{number:08d}", count, day)

    def _club(self, key: str, number: str, count: int, chartered_on: date | None) -> Club:
        draw = self._rng.between
        areas = max(1, round(count / 5))
        division, area = divmod(draw(0, areas - 1, "area", key), 4)
        size = draw(7, 17, "size", key) + draw(2, 13, "more", key) + (9 if self._rng.happens(12, "big", key) else 0)
        return Club(
            key=key,
            number=number,
            name=club_name(self._rng, key),
            division=_letters(division),
            area=f"{area + 1:02d}",
            size=size,
            chartered_on=chartered_on,
        )

    def _suspension(self, club: Club, year: int) -> date | None:
        """Return the day of the suspension of a club, which the reports of the next program year do not list."""
        if year <= club.charter_year or not self._rng.happens(3, "end", club.key, year):
            return None
        return date(year, 9, 30) if self._rng.happens(50, "autumn", club.key) else date(year + 1, 3, 31)

    def _members_at_start(self, club: Club, district: str, year: int) -> int:
        """Return the members on 1 July of `year`, which are those of the closing of June."""
        end = self._suspension(club, year)
        if end is not None and end.month == 9:
            return self._rng.between(1, 6, "dwindled", club.key)
        tide = self._rng.between(-2, 2, "tide", district, year)
        return max(4, club.size + tide + self._rng.between(-5, 6, "members", club.key, year))

    def _season(self, club: Club, year: int, district: str, drive: int) -> Season:
        draw, happens, key = self._rng.between, self._rng.happens, (club.key, year)

        def ramp(what: str, total: int, first: tuple[int, int, int], last: tuple[int, int, int]) -> Ramp:
            """Return a ramp between two random days, each given as month, day and spread in days.

            It ends before the earliest closing of June.
            """
            begins = ordinal(year, first[0], first[1]) + draw(0, first[2], "first", what, *key)
            ends = ordinal(year, last[0], last[1]) + draw(0, last[2], "last", what, *key)
            begins = max(begins, charter)
            return Ramp(total, begins, max(ends, begins))

        is_new = club.charter_year == year
        charter = club.chartered_on.toordinal() if is_new and club.chartered_on else 0
        ends_on, ends_next = self._suspension(club, year), self._suspension(club, year + 1)
        gives_up_in_april = ends_next is not None and ends_next.month == 9
        base = draw(20, 27, "charter members", *key) if is_new else self._members_at_start(club, district, year)
        after = (
            draw(0, min(5, base), "rest", *key)
            if ends_on is not None
            else self._members_at_start(club, district, year + 1)
        )
        joined = max(0, after - base + draw(base // 6, base // 2, "turnover", *key))
        left = ramp("left", joined - after + base, (9, 20, 20), (5, 10, 50) if ends_on is None else (10, 20, 30))
        new = ramp("joined", joined, (7, 5, 40), (5, 10, 45))

        october_day, april_day = ordinal(year, 10, 1), ordinal(year, 4, 1)
        pays_october = ends_on is None and charter < ordinal(year, 9, 1)
        pays_april = ends_on is None and not gives_up_in_april and charter < ordinal(year, 1, 1)
        on_time = (happens(93, "october on time", *key), happens(94, "april on time", *key))

        def renewals(what: str, day: int, pays: bool, is_on_time: bool, month: int) -> Ramp:
            there = base + new.at(day) - left.at(day)
            total = there * draw(82, 100, what, *key) // 100 if pays else draw(0, 2, what, *key) if not is_new else 0
            return (
                ramp(what, total, (month - 2, 15, 20), (month - 1, 20, 10))
                if is_on_time
                else ramp(what, total, (month, 8, 6), (month + 1, 5, 9))
            )

        october = renewals("october", october_day, pays_october, on_time[0], 10)
        april = renewals("april", april_day, pays_april, on_time[1], 4)
        unpaid = []
        if ends_on is not None:
            since = ordinal(year, 7, 1) if ends_on.month == 9 else ordinal(year, 10, 15)
            unpaid.append((since, ends_on.toordinal()))
        if gives_up_in_april:
            unpaid.append((ordinal(year, 4, 15), date.max.toordinal()))
        if pays_october and not on_time[0]:
            unpaid.append((october_day + 5, october.last))
        if pays_april and not on_time[1]:
            unpaid.append((april_day + 5, april.last))

        vigour = draw(0, 100, "vigour", *key) * drive // 100 if ends_on is None else 0
        is_late = happens(8, "hands in late", *key)
        lists = happens(95, "list", *key) + (year >= 2022 and happens(12, "second list", *key))
        pathways = 100 if year > LAST_LEGACY_YEAR else 40 if year >= 2018 else 0

        def learning(what: str, least: int, most: int, share: int) -> Ramp:
            total = (draw(0, least, what, *key) + vigour * most // 100) * share // 100
            # A few clubs report late, so that figures of the last days of June differ from its closing.
            return ramp(what, total, (8, 1, 70), (6, 30, 10) if is_late else (4, 20, 60))

        return Season(
            club=club,
            year=year,
            is_new=is_new,
            base=base,
            was_paid=not is_new and base >= GOOD_STANDING and not (ends_on is not None and ends_on.month == 9),
            charter_payments=base if is_new else 0,
            suspended_on=ends_on,
            unpaid=tuple(unpaid),
            joined=new,
            left=left,
            october=october,
            april=april,
            late=ramp("late", draw(0, 3, "late", *key), (11, 10, 20), (5, 20, 30)),
            levels=(
                learning("level 1", 3, 7, pathways),
                learning("level 2", 2, 5, pathways),
                learning("level 3", 1, 4, pathways),
                learning("level 4", 1, 3, pathways),
                learning("level 5", 1, 1, pathways),
            ),
            awards=tuple(
                learning(what, 1, most, 100 if year < 2018 else 60 if year <= LAST_LEGACY_YEAR else 0)
                for what, most in (("competent", 5), ("advanced", 3), ("leaders", 3))
            ),
            trained=(
                ramp("round 1", min(7, draw(0, 4, "t1", *key) + vigour // 20), (7, 1, 20), (8, 20, 15)),
                ramp("round 2", min(7, draw(0, 4, "t2", *key) + vigour // 20), (11, 5, 30), (2, 15, 15)),
            ),
            october_on_time=on_time[0] and october.total >= GOOD_STANDING,
            april_on_time=on_time[1] and april.total >= GOOD_STANDING,
            officer_lists=ramp("list", lists, (7, 2, 8), (7, 12, 10) if lists < 2 else (1, 5, 10)),
            success_plan=ramp("plan", int(happens(88, "plan", *key)), (7, 10, 60), (7, 10, 60)),
            visits=(
                ramp("visit 1", int(happens(85, "visit 1", *key)), (9, 15, 60), (9, 15, 60)),
                ramp("visit 2", int(happens(75, "visit 2", *key)), (3, 10, 70), (3, 10, 70)),
            ),
        )


def _slot(district: str) -> int:
    """Return a unique number below 256 for a district."""
    return int(district) if district.isdigit() else 252 + ord(district) % 4


def _letters(index: int) -> str:
    """Return A to Z, then AA, AB ..."""
    return chr(65 + index) if index < 26 else _letters(index // 26 - 1) + chr(65 + index % 26)
