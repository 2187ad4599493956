-- The first schema. Times are milliseconds since 1970 (UTC) unless named otherwise.

-- One row per fact about the database itself: journal name, node id, event head,
-- and how far retention has eaten into each table.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The journal, but for log lines. `frame` is the immutable JSON of the event.
-- The other columns repeat what filters match on.
CREATE TABLE events (
    id        INTEGER PRIMARY KEY,
    type      TEXT    NOT NULL,
    severity  INTEGER NOT NULL,
    time      INTEGER NOT NULL,
    project   TEXT,
    stage     TEXT,
    instance  TEXT,
    deploy    INTEGER,
    frame     TEXT    NOT NULL
);

-- Log lines come in bulk and are kept by other rules, so they have a table of
-- their own; ids are of the same sequence as `events`.
CREATE TABLE deploy_logs (
    id        INTEGER PRIMARY KEY,
    deploy    INTEGER NOT NULL,
    severity  INTEGER NOT NULL,
    time      INTEGER NOT NULL,
    project   TEXT,
    stage     TEXT,
    instance  TEXT,
    frame     TEXT    NOT NULL
);
CREATE INDEX deploy_logs_by_deploy ON deploy_logs (deploy, id);

-- What enrichers added to an event: merged in when it is read by id.
CREATE TABLE annotations (
    event   INTEGER NOT NULL,
    plugin  TEXT    NOT NULL,
    json    TEXT    NOT NULL,
    PRIMARY KEY (event, plugin)
) WITHOUT ROWID;

CREATE TABLE projects (
    name       TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- A lane: one stage of a project. `spec` is JSON whose secret values are sealed.
CREATE TABLE lanes (
    project         TEXT    NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    stage           TEXT    NOT NULL,
    spec            TEXT    NOT NULL,
    last_generation INTEGER NOT NULL DEFAULT 0,
    -- Generation and container that serve.
    generation      INTEGER,
    instance        TEXT,
    PRIMARY KEY (project, stage)
) WITHOUT ROWID;

CREATE TABLE deploys (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    project     TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    -- The full resolved specification; secret values are sealed.
    spec        TEXT    NOT NULL,
    image       TEXT    NOT NULL,
    digest      TEXT,
    image_id    TEXT,
    strategy    TEXT,
    plan        TEXT,
    failure     TEXT,
    reason      TEXT,
    instance    TEXT,
    -- Container that served before; what a failure brings back.
    replaces    TEXT,
    cancel      INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER,
    first_event INTEGER,
    last_event  INTEGER
);
CREATE INDEX deploys_by_lane ON deploys (project, stage, id);

-- Intent is written before a step acts, the result after.
CREATE TABLE deploy_steps (
    deploy     INTEGER NOT NULL REFERENCES deploys (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER,
    message    TEXT,
    PRIMARY KEY (deploy, position)
) WITHOUT ROWID;

-- Last known state of each container: folded from what the engine shows.
CREATE TABLE instances (
    id         TEXT PRIMARY KEY,
    name       TEXT    NOT NULL,
    project    TEXT,
    stage      TEXT,
    managed    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    json       TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX instances_by_lane ON instances (project, stage);

-- How far each pipeline has read, with its counters.
CREATE TABLE pipelines (
    name    TEXT PRIMARY KEY,
    cursor  INTEGER NOT NULL,
    seen    INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- What a pipeline decided to drop, newest kept: shown on the dashboard.
CREATE TABLE drops (
    id       INTEGER PRIMARY KEY,
    pipeline TEXT    NOT NULL,
    plugin   TEXT    NOT NULL,
    event    INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    time     INTEGER NOT NULL
);
CREATE INDEX drops_by_pipeline ON drops (pipeline, id);

-- A sealed list of events for one sink. `input` is the JSON of the events as
-- the sink gets them, so that a delivery needs the journal no more.
CREATE TABLE deliveries (
    id            TEXT PRIMARY KEY,
    position      INTEGER NOT NULL,
    pipeline      TEXT    NOT NULL,
    sink          TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    attempts      INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    first_attempt INTEGER,
    next_attempt  INTEGER,
    ended_at      INTEGER,
    latency_ms    INTEGER,
    last_error    TEXT,
    events        TEXT    NOT NULL,
    input         TEXT    NOT NULL
);
CREATE INDEX deliveries_by_sink ON deliveries (sink, status, position);
CREATE INDEX deliveries_by_position ON deliveries (position);

CREATE TABLE delivery_attempts (
    delivery   TEXT    NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    reason     TEXT,
    latency_ms INTEGER NOT NULL,
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;

-- The key-value store of each plugin.
CREATE TABLE plugin_store (
    plugin TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (plugin, key)
) WITHOUT ROWID;
