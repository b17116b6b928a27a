-- True where a view was begun without its past and readings from before may belong to the window. Empty in rows of
-- before this column was there, none of which is partial.

ALTER TABLE rows_by_time ADD COLUMN partial INTEGER;
ALTER TABLE rows_by_key ADD COLUMN partial INTEGER;
