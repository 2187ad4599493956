-- How many deliveries a sink has in each state, and how large they are, is asked with each
-- one that is added: the index alone answers.
DROP INDEX deliveries_by_sink;
CREATE INDEX deliveries_by_sink ON deliveries (sink, status, position, octet_length(input));
-- Attempts before it was last put back by hand: those since then count.
ALTER TABLE deliveries ADD COLUMN attempts_before INTEGER NOT NULL DEFAULT 0;

CREATE INDEX once_keys_by_time ON once_keys (pipeline, time);
