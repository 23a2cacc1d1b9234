-- `visitors_by_day` in the order of the previous day, so that a long range reads few of its rows; what a short one needs of
-- it beside the sums (`near`). Days are made again.
TRUNCATE TABLE IF EXISTS {{database}}.rollup_days {{on_cluster}};
DROP TABLE IF EXISTS {{database}}.visitors_by_day_today {{on_cluster}} SYNC;
DROP TABLE IF EXISTS {{database}}.visits_by_day_today {{on_cluster}} SYNC;
DROP TABLE IF EXISTS {{database}}.visitors_by_day {{on_cluster}} SYNC;
TRUNCATE TABLE IF EXISTS {{database}}.visits_by_day {{on_cluster}};
ALTER TABLE {{database}}.visits_by_day {{on_cluster}} ADD COLUMN IF NOT EXISTS near Array(UInt32) CODEC(ZSTD(1));
CREATE TABLE IF NOT EXISTS {{database}}.visitors_by_day {{on_cluster}}
(
    site     LowCardinality(String),
    property LowCardinality(String),
    previous Date CODEC(Delta, ZSTD(1)),
    day      Date CODEC(Delta, ZSTD(1)),
    value    LowCardinality(String),
    visitors UInt32 CODEC(T64, ZSTD(1))
)
ENGINE = {{merge_tree}}
PARTITION BY toYYYYMM(day)
ORDER BY (site, property, previous, day, value)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 0,
    cleanup_delay_period = 1,
    cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 1;
