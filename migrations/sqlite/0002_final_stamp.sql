-- When a row was marked final, as Cassandra keeps it for the cell: a replay removes what earlier generations
-- wrote. Empty where it was marked before this column was there.

ALTER TABLE rows_by_time ADD COLUMN final_stamp INTEGER;
ALTER TABLE rows_by_key ADD COLUMN final_stamp INTEGER;
