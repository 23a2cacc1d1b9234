-- A cookieless visit over midnight: what the visitor's hash was under the salt of the day before.
ALTER TABLE {{database}}.hits {{on_cluster}} ADD COLUMN IF NOT EXISTS before UInt64 CODEC(ZSTD(3)) AFTER user_key;
