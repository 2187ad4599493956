-- Which version of the sink made the last attempt.
ALTER TABLE deliveries ADD COLUMN version TEXT;
ALTER TABLE deliveries ADD COLUMN digest TEXT;
