-- Where the open batch of a pipeline goes that no file names any more: JSON, as it was last
-- started.
ALTER TABLE pipelines ADD COLUMN sinks TEXT;

-- How much is kept is asked every few seconds: the index alone answers.
DROP INDEX traces_by_time;
CREATE INDEX traces_by_time ON traces (time, octet_length(json));
