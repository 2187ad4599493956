-- Where the open batch of a pipeline goes that no file names any more: JSON, as it was last
-- started.
ALTER TABLE pipelines ADD COLUMN sinks TEXT;
