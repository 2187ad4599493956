-- Events that have passed a pipeline and wait for their batch to be sealed. `json`
-- is the event as the sinks get it.
CREATE TABLE batch_members (
    pipeline  TEXT    NOT NULL,
    event     INTEGER NOT NULL,
    subject   TEXT    NOT NULL,
    json      TEXT    NOT NULL,
    passed_at INTEGER NOT NULL,
    PRIMARY KEY (pipeline, event)
) WITHOUT ROWID;

-- When an event last passed a pipeline, by what it has in common with others
-- (a hash). Of those, one passes in a cooldown.
CREATE TABLE once_keys (
    pipeline TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    time     INTEGER NOT NULL,
    PRIMARY KEY (pipeline, key)
) WITHOUT ROWID;

-- What each pipeline did with an event: JSON, kept for a day.
CREATE TABLE traces (
    event    INTEGER NOT NULL,
    pipeline TEXT    NOT NULL,
    time     INTEGER NOT NULL,
    json     TEXT    NOT NULL,
    PRIMARY KEY (event, pipeline)
) WITHOUT ROWID;
CREATE INDEX traces_by_time ON traces (time);
