-- What a field is being corrected to: a mutation's file keeps its text, so a value reaches it only by this table.
CREATE TABLE IF NOT EXISTS {{database}}.corrections {{on_cluster}}
(
    name  String,
    value String
)
ENGINE = {{merge_tree}}
ORDER BY tuple()
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 0,
    cleanup_delay_period = 1,
    cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 1;
