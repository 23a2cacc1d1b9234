-- A kind of hit: an error of a page's script.
ALTER TABLE {{database}}.hits {{on_cluster}} MODIFY COLUMN kind Enum8('pageview' = 1, 'event' = 2, 'ad_view' = 3, 'ad_viewable' = 4, 'ad_click' = 5, 'engagement' = 6, 'consent' = 7, 'error' = 8);
