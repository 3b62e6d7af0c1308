"""Decorators that describe the operations on snapshots, results and the data dictionary in the OpenAPI document."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from backfill.api.fields import DISTRICT_PATTERN
from backfill.api.query_parameters import ChangesQuery, SeriesQuery, SnapshotListQuery
from backfill.api.schema_parts import ETAG, IF_NONE_MATCH, NEXT_PAGE, SNAPSHOT, UNCHANGED, operation
from backfill.domain import ReportName
from backfill.serializers.changes import DistrictChangesSerializer
from backfill.serializers.dictionary import DictionarySerializer
from backfill.serializers.results import DistrictResultSerializer, SeriesSerializer, WorldResultSerializer
from backfill.serializers.snapshots import SnapshotPageSerializer, SnapshotSerializer

_NO_SNAPSHOT = {404: "SNAPSHOT_NOT_FOUND"}
list_snapshots = operation(
    "Snapshots",
    "listSnapshots",
    "List snapshots by date and district",
    {200: SnapshotPageSerializer},
    errors=(400,),
    parameters=[SnapshotListQuery, NEXT_PAGE],
)
get_snapshot = operation(
    "Snapshots",
    "getSnapshot",
    "Get a snapshot with its rows",
    {200: SnapshotSerializer, 304: UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_SNAPSHOT,
    parameters=[*SNAPSHOT, IF_NONE_MATCH, ETAG],
)
get_report = operation(
    "Snapshots",
    "getReport",
    "Get a report as the exact bytes that were fetched",
    {(200, "text/csv"): OpenApiTypes.STR, 304: UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_SNAPSHOT,
    parameters=[
        *SNAPSHOT,
        OpenApiParameter("report", OpenApiTypes.STR, OpenApiParameter.PATH, enum=list(ReportName)),
        IF_NONE_MATCH,
        ETAG,
    ],
)

_NO_RESULT = {404: "ANALYTICS_NOT_FOUND; the message names the job that computes them"}
_RESULT_DATE = OpenApiParameter("date", OpenApiTypes.DATE, OpenApiParameter.PATH)
_RESULT_DISTRICT = OpenApiParameter(
    "district",
    {"type": "string", "pattern": DISTRICT_PATTERN},
    OpenApiParameter.PATH,
    description="Such as 91 or F.",
)
get_result = operation(
    "Analytics",
    "getResult",
    "Get the analytics of a district and a date",
    {200: DistrictResultSerializer, 304: UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_RESULT,
    parameters=[_RESULT_DATE, _RESULT_DISTRICT, IF_NONE_MATCH, ETAG],
)
get_world_result = operation(
    "Analytics",
    "getWorldResult",
    "Get the ranking of all districts of a date",
    {200: WorldResultSerializer, 304: UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_RESULT,
    parameters=[_RESULT_DATE, IF_NONE_MATCH, ETAG],
)
get_series = operation(
    "Analytics",
    "getSeries",
    "Get the trend of a district over a program year",
    {200: SeriesSerializer, 304: UNCHANGED},
    errors=(400, 404),
    error_texts=_NO_RESULT,
    parameters=[
        _RESULT_DISTRICT,
        SeriesQuery,
        IF_NONE_MATCH,
        ETAG,
    ],
)

get_changes = operation(
    "Analytics",
    "getChanges",
    "Compare two stored dates of a district",
    {200: DistrictChangesSerializer, (200, "text/csv"): OpenApiTypes.STR, 304: UNCHANGED},
    errors=(400, 404),
    error_texts={404: "SNAPSHOT_NOT_FOUND; the message names the nearest stored dates"},
    parameters=[ChangesQuery, IF_NONE_MATCH, ETAG],
)
get_dictionary = operation(
    "Analytics",
    "getDictionary",
    "Get the meaning of every column of the dataset and every field of the results",
    {200: DictionarySerializer, 304: UNCHANGED},
    errors=(400,),
    parameters=[IF_NONE_MATCH, ETAG],
)
