-- Whose block or hold has ended, and when: another collector's copy of the list must not bring it back. Reasons in README.md.
CREATE TABLE IF NOT EXISTS {{database}}.ended {{on_cluster}}
(
    list    Enum8('blocked' = 1, 'held' = 2),
    site    String,
    kind    Enum8('visitor' = 1, 'user_key' = 2),
    subject UInt64,
    at      DateTime64(3, 'UTC')
)
ENGINE = {{merge_tree}}
ORDER BY (list, site, subject)
TTL toDateTime(at) + toIntervalDay(90)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 0,
    cleanup_delay_period = 1,
    cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 1;
