"""Geolocation: points within postcodes. It has no key of its own: a row is its key as a whole."""

from lakehouse_assets.tables.contract import Column, Dataset
from tests.second_shop.tables._columns import place

_COLUMNS = (
    *place("geolocation"),
    Column(
        name="geolocation_lat",
        type="DECIMAL(17,14)",
        required=True,
        minimum=-90,
        maximum=90,
        description="Degrees north.",
    ),
    Column(
        name="geolocation_lng",
        type="DECIMAL(17,14)",
        required=True,
        minimum=-180,
        maximum=180,
        description="Degrees east.",
    ),
)

TABLE = Dataset(
    name="geolocation",
    description="One row per point; the same row again is a duplicate, and counted as one.",
    key=(
        "geolocation_zip_code_prefix",
        "geolocation_lat",
        "geolocation_lng",
        "geolocation_state",
    ),
    columns=_COLUMNS,
    partition_by=("geolocation_state",),
)
