-- Where refused hits came from: the network's number and the country.
ALTER TABLE {{database}}.refusals {{on_cluster}} ADD COLUMN IF NOT EXISTS asn UInt32 AFTER ip_key;
ALTER TABLE {{database}}.refusals {{on_cluster}} ADD COLUMN IF NOT EXISTS country LowCardinality(String) AFTER asn;
