-- What the journal holds of each type of event, so that nothing has to be counted,
-- and the id up to which retention may have deleted some of it.
CREATE TABLE kept (
    type  TEXT    PRIMARY KEY,
    rows  INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    floor INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO kept (type, rows, bytes, floor)
WITH types (type) AS (
    VALUES ('deploy_status'), ('instance_status'), ('project_status'), ('event_annotated'),
           ('plugin_status'), ('delivery_status'), ('watch_gap'), ('audit'), ('system')
), counted AS (
    SELECT type, count(*) AS rows, sum(octet_length(frame)) AS bytes FROM events GROUP BY type
)
SELECT types.type, coalesce(counted.rows, 0), coalesce(counted.bytes, 0),
       coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'events_floor'), 0)
FROM types LEFT JOIN counted ON counted.type = types.type;

INSERT INTO kept (type, rows, bytes, floor)
SELECT 'deploy_log', count(*), coalesce(sum(octet_length(frame)), 0),
       coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'logs_floor'), 0)
FROM deploy_logs;

DELETE FROM meta WHERE key IN ('events_floor', 'logs_floor');
