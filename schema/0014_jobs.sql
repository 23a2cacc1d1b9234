-- Which job a row is of, and since when: several collectors may work on one storage at once. Reasons in README.md.
ALTER TABLE {{database}}.erase_queue {{on_cluster}} ADD COLUMN IF NOT EXISTS job UInt64;
ALTER TABLE {{database}}.erase_queue {{on_cluster}} ADD COLUMN IF NOT EXISTS began DateTime64(3, 'UTC');
ALTER TABLE {{database}}.corrections {{on_cluster}} ADD COLUMN IF NOT EXISTS job UInt64;
ALTER TABLE {{database}}.corrections {{on_cluster}} ADD COLUMN IF NOT EXISTS began DateTime64(3, 'UTC');
