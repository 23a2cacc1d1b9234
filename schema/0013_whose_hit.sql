-- Whose a hit is: which granules have rows of somebody, for case files, people's requests, blocks and erasures. One index for each
-- column: an index of all four takes twice the bytes. What is stored already gets them here. Reasons in README.md.
ALTER TABLE {{database}}.hits {{on_cluster}} ADD INDEX IF NOT EXISTS by_visitor visitor TYPE bloom_filter(0.025) GRANULARITY 1;
ALTER TABLE {{database}}.hits {{on_cluster}} ADD INDEX IF NOT EXISTS by_minted minted TYPE bloom_filter(0.025) GRANULARITY 1;
ALTER TABLE {{database}}.hits {{on_cluster}} ADD INDEX IF NOT EXISTS by_before before TYPE bloom_filter(0.025) GRANULARITY 1;
ALTER TABLE {{database}}.hits {{on_cluster}} ADD INDEX IF NOT EXISTS by_user_key user_key TYPE bloom_filter(0.025) GRANULARITY 1;
ALTER TABLE {{database}}.hits {{on_cluster}} MATERIALIZE INDEX by_visitor, MATERIALIZE INDEX by_minted, MATERIALIZE INDEX by_before, MATERIALIZE INDEX by_user_key;
