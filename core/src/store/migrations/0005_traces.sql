-- What a pipeline did with the events that it decided together: JSON, kept for a day.
-- The events of one row lie between those of the pipeline's others.
ALTER TABLE traces RENAME TO traces_by_event;
DROP INDEX traces_by_time;
CREATE TABLE traces (
    pipeline TEXT    NOT NULL,
    last     INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    json     TEXT    NOT NULL,
    PRIMARY KEY (pipeline, last)
) WITHOUT ROWID;
CREATE INDEX traces_by_time ON traces (time);
INSERT INTO traces (pipeline, last, time, json)
    SELECT pipeline, event, time, json_object(
        'decided_at', json ->> 'decided_at',
        'plugins', (
            SELECT json_group_array(json_remove(value, '$.decision', '$.detail', '$.duration_us'))
            FROM json_each(traces_by_event.json, '$.steps')),
        'events', json_array(json_object(
            'event', event,
            'outcome', json ->> 'outcome',
            'steps', (
                SELECT json_group_array(
                    json_set(json_remove(value, '$.plugin', '$.version', '$.digest'), '$.by', key))
                FROM json_each(traces_by_event.json, '$.steps')))))
    FROM traces_by_event;
DROP TABLE traces_by_event;
