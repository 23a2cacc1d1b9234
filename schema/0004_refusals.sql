-- Refused hits by site, hour, reason and protected address. Reasons in README.md.
CREATE TABLE IF NOT EXISTS {{database}}.refusals {{on_cluster}}
(
    site    LowCardinality(String),
    hour    DateTime('UTC') CODEC(Delta, ZSTD(1)),
    reason  LowCardinality(String),
    ip      FixedString(16) CODEC(ZSTD(3)),
    ip_key  UInt32,
    count   UInt64 CODEC(T64, ZSTD(1)),
    ip_days UInt16
)
ENGINE = {{merge_tree}}
ORDER BY (site, hour, reason)
TTL hour + toIntervalDay(ip_days)
SETTINGS
    non_replicated_deduplication_window = 1000,
    replicated_deduplication_window = 1000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 0,
    cleanup_delay_period = 1,
    cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 1,
    ttl_only_drop_parts = 0,
    merge_with_ttl_timeout = 3600;
