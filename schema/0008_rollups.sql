-- Visits by day of the site, made from `hits` by whole days. Reasons in README.md, meaning in src/rollup.
CREATE TABLE IF NOT EXISTS {{database}}.visits {{on_cluster}}
(
    site            LowCardinality(String),
    day             Date CODEC(T64, ZSTD(1)),
    person          UInt64 CODEC(ZSTD(1)),
    hash            UInt64 CODEC(ZSTD(1)),
    begin           Int64 CODEC(T64, ZSTD(1)),
    lasted          UInt32 CODEC(T64, ZSTD(1)),
    bounce          Bool CODEC(ZSTD(1)),
    earlier         Bool CODEC(ZSTD(1)),
    views           UInt16 CODEC(T64, ZSTD(1)),
    counted         UInt16 CODEC(T64, ZSTD(1)),
    source          LowCardinality(String),
    channel         LowCardinality(String),
    referrer        LowCardinality(String),
    utm_source      LowCardinality(String),
    utm_medium      LowCardinality(String),
    utm_campaign    LowCardinality(String),
    utm_content     LowCardinality(String),
    utm_term        LowCardinality(String),
    country         LowCardinality(String),
    region          LowCardinality(String),
    city            LowCardinality(String),
    device          LowCardinality(String),
    browser         LowCardinality(String),
    browser_version LowCardinality(String),
    os              LowCardinality(String),
    os_version      LowCardinality(String),
    language        LowCardinality(String),
    screen          LowCardinality(String),
    network         LowCardinality(String),
    entry           LowCardinality(String),
    exit            LowCardinality(String),
    pages           Array(LowCardinality(String)) CODEC(ZSTD(1)),
    kinds           Array(UInt8) CODEC(ZSTD(1)),
    names           Array(LowCardinality(String)) CODEC(ZSTD(1)),
    earlier_pages   Array(LowCardinality(String)) CODEC(ZSTD(1)),
    earlier_names   Array(LowCardinality(String)) CODEC(ZSTD(1))
)
ENGINE = {{merge_tree}}
PARTITION BY toYYYYMM(day)
ORDER BY (site, person, day, begin)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 0,
    cleanup_delay_period = 1,
    cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 1;
CREATE TABLE IF NOT EXISTS {{database}}.visitors_by_day {{on_cluster}}
(
    site     LowCardinality(String),
    property LowCardinality(String),
    day      Date CODEC(Delta, ZSTD(1)),
    value    LowCardinality(String),
    previous Date CODEC(T64, ZSTD(1)),
    visitors UInt32 CODEC(T64, ZSTD(1))
)
ENGINE = {{merge_tree}}
PARTITION BY toYYYYMM(day)
ORDER BY (site, property, day, value, previous)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 0,
    cleanup_delay_period = 1,
    cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 1;
CREATE TABLE IF NOT EXISTS {{database}}.visits_by_day {{on_cluster}}
(
    site          LowCardinality(String),
    property      LowCardinality(String),
    day           Date CODEC(Delta, ZSTD(1)),
    value         LowCardinality(String),
    visits        UInt32 CODEC(T64, ZSTD(1)),
    visits_again  UInt32 CODEC(T64, ZSTD(1)),
    views         UInt32 CODEC(T64, ZSTD(1)),
    counted       UInt32 CODEC(T64, ZSTD(1)),
    own           UInt32 CODEC(T64, ZSTD(1)),
    own_again     UInt32 CODEC(T64, ZSTD(1)),
    bounced       UInt32 CODEC(T64, ZSTD(1)),
    bounced_again UInt32 CODEC(T64, ZSTD(1)),
    lasted        UInt64 CODEC(T64, ZSTD(1)),
    lasted_again  UInt64 CODEC(T64, ZSTD(1)),
    ad_views      UInt32 CODEC(T64, ZSTD(1)),
    ad_viewable   UInt32 CODEC(T64, ZSTD(1)),
    ad_clicks     UInt32 CODEC(T64, ZSTD(1))
)
ENGINE = {{merge_tree}}
PARTITION BY toYYYYMM(day)
ORDER BY (site, property, day, value)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 0,
    cleanup_delay_period = 1,
    cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 1;
-- Which days stand in the tables above: the last `version` of a day says.
CREATE TABLE IF NOT EXISTS {{database}}.rollup_days {{on_cluster}}
(
    site    String,
    day     Date,
    version UInt64,
    zone    String,
    built   Bool,
    numbers Bool,
    hits    UInt64,
    cities  UInt64
)
ENGINE = {{merge_tree}}
ORDER BY (site, day, version)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 0,
    cleanup_delay_period = 1,
    cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 1;
-- The same for days that are not over: in memory, made anew when hits came.
CREATE TABLE IF NOT EXISTS {{database}}.visits_today {{on_cluster}} AS {{database}}.visits ENGINE = Memory;
CREATE TABLE IF NOT EXISTS {{database}}.visitors_by_day_today {{on_cluster}} AS {{database}}.visitors_by_day ENGINE = Memory;
CREATE TABLE IF NOT EXISTS {{database}}.visits_by_day_today {{on_cluster}} AS {{database}}.visits_by_day ENGINE = Memory;
