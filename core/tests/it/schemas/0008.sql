-- What a server of the eighth schema makes of the seventh one's: every table has rows.
PRAGMA user_version = 8;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE annotations (
    event   INTEGER NOT NULL,
    plugin  TEXT    NOT NULL,
    json    TEXT    NOT NULL,
    PRIMARY KEY (event, plugin)
) WITHOUT ROWID;
INSERT INTO annotations VALUES(7,'team','{"owner":"checkout"}');
CREATE TABLE batch_members (
    pipeline  TEXT    NOT NULL,
    event     INTEGER NOT NULL,
    subject   TEXT    NOT NULL,
    json      TEXT    NOT NULL,
    passed_at INTEGER NOT NULL,
    PRIMARY KEY (pipeline, event)
) WITHOUT ROWID;
INSERT INTO batch_members VALUES('digest',81,'demo/prod/deploys/2','{"id":81,"type":"project_status","time":"2026-11-24T09:53:54.591Z","node":"n-bc5646a2fd80","subject":"demo/prod","severity":"info","actor":"user:local","payload":"{\"project\":\"demo\",\"change\":\"created\",\"stage\":\"prod\"}","annotations":"{}"}',1795514047004);
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
, attempts_before INTEGER NOT NULL DEFAULT 0, version TEXT, digest TEXT);
INSERT INTO deliveries VALUES('d-1e472bf4466454ff27c32c05fbc5b89a',1,'all','hook','shop/prod','delivered',2,1795514034473,1795514034481,NULL,1795514035440,1,NULL,'[7]','[{"id":7,"type":"project_status","time":"2026-11-24T09:53:54.469Z","node":"n-bc5646a2fd80","subject":"shop/prod","severity":"info","actor":"user:local","payload":"{\"project\":\"shop\",\"change\":\"created\",\"stage\":\"prod\"}","annotations":"{\"team\":{\"owner\":\"checkout\"}}"}]',0,NULL,NULL);
INSERT INTO deliveries VALUES('d-2622816ab58da81e08cdcfb3295fa0c8',2,'all','hook','demo/prod','delivered',1,1795514034592,1795514035444,NULL,1795514035445,1,NULL,'[10]','[{"id":10,"type":"project_status","time":"2026-11-24T09:53:54.591Z","node":"n-bc5646a2fd80","subject":"demo/prod","severity":"info","actor":"user:local","payload":"{\"project\":\"demo\",\"change\":\"created\",\"stage\":\"prod\"}","annotations":"{}"}]',0,NULL,NULL);
INSERT INTO deliveries VALUES('d-cb3824ee7dff76a890f0739cd6fe3335',3,'all','hook','demo/prod','delivered',1,1795514034597,1795514035447,NULL,1795514035448,1,NULL,'[11]','[{"id":11,"type":"project_status","time":"2026-11-24T09:53:54.595Z","node":"n-bc5646a2fd80","subject":"demo/prod","severity":"info","actor":"user:local","payload":"{\"project\":\"demo\",\"change\":\"updated\",\"stage\":\"prod\"}","annotations":"{}"}]',0,NULL,NULL);
INSERT INTO deliveries VALUES('d-9439f8870ae4b0e7716bce612ac0e9c9',4,'all','hook','demo/prod','delivered',1,1795514039668,1795514039669,NULL,1795514039670,1,NULL,'[48]','[{"id":48,"type":"project_status","time":"2026-11-24T09:53:59.666Z","node":"n-bc5646a2fd80","subject":"demo/prod","severity":"info","actor":"user:local","payload":"{\"project\":\"demo\",\"change\":\"updated\",\"stage\":\"prod\"}","annotations":"{}"}]',0,NULL,NULL);
INSERT INTO deliveries VALUES('d-af5de8e8e39833b4045ef8db255c4656',5,'all','hook','demo/prod','delivered',1,1795514047005,1795514047006,NULL,1795514047008,1,NULL,'[81]','[{"id":81,"type":"project_status","time":"2026-11-24T09:54:07.003Z","node":"n-bc5646a2fd80","subject":"demo/prod","severity":"info","actor":"user:local","payload":"{\"project\":\"demo\",\"change\":\"updated\",\"stage\":\"prod\"}","annotations":"{}"}]',0,NULL,NULL);
CREATE TABLE delivery_attempts (
    delivery   TEXT    NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    reason     TEXT,
    latency_ms INTEGER NOT NULL,
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;
INSERT INTO delivery_attempts VALUES('d-1e472bf4466454ff27c32c05fbc5b89a',1,1795514034481,'retry','answered 500',2);
INSERT INTO delivery_attempts VALUES('d-1e472bf4466454ff27c32c05fbc5b89a',2,1795514035439,'ok',NULL,1);
INSERT INTO delivery_attempts VALUES('d-2622816ab58da81e08cdcfb3295fa0c8',1,1795514035444,'ok',NULL,1);
INSERT INTO delivery_attempts VALUES('d-9439f8870ae4b0e7716bce612ac0e9c9',1,1795514039669,'ok',NULL,1);
INSERT INTO delivery_attempts VALUES('d-af5de8e8e39833b4045ef8db255c4656',1,1795514047006,'ok',NULL,1);
INSERT INTO delivery_attempts VALUES('d-cb3824ee7dff76a890f0739cd6fe3335',1,1795514035447,'ok',NULL,1);
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
INSERT INTO deploy_logs VALUES(26,1,1,1795514034891,'demo','prod',NULL,'{"id":26,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"system","line":"waiting until the new instance is good"},"time":"2026-11-24T09:53:54.891Z","recorded":"2026-11-24T09:53:54.892Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(27,1,1,1795514034884,'demo','prod',NULL,'{"id":27,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"release one starts in container 09e94be4da93","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:54.884Z","recorded":"2026-11-24T09:53:55.152Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(28,1,1,1795514035284,'demo','prod',NULL,'{"id":28,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"warming up, 1 of 8","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:55.284Z","recorded":"2026-11-24T09:53:55.285Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(32,1,1,1795514035684,'demo','prod',NULL,'{"id":32,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"warming up, 2 of 8","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:55.684Z","recorded":"2026-11-24T09:53:55.685Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(33,1,1,1795514036085,'demo','prod',NULL,'{"id":33,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"warming up, 3 of 8","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:56.085Z","recorded":"2026-11-24T09:53:56.085Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(34,1,1,1795514036486,'demo','prod',NULL,'{"id":34,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"warming up, 4 of 8","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:56.486Z","recorded":"2026-11-24T09:53:56.487Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(35,1,1,1795514036890,'demo','prod',NULL,'{"id":35,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"warming up, 5 of 8","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:56.890Z","recorded":"2026-11-24T09:53:56.891Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(36,1,1,1795514037291,'demo','prod',NULL,'{"id":36,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"warming up, 6 of 8","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:57.291Z","recorded":"2026-11-24T09:53:57.291Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(37,1,1,1795514037691,'demo','prod',NULL,'{"id":37,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"warming up, 7 of 8","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:57.691Z","recorded":"2026-11-24T09:53:57.692Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(38,1,1,1795514038091,'demo','prod',NULL,'{"id":38,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"warming up, 8 of 8","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:58.091Z","recorded":"2026-11-24T09:53:58.092Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(39,1,1,1795514038091,'demo','prod',NULL,'{"id":39,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"listening on port 8080","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:58.091Z","recorded":"2026-11-24T09:53:58.093Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(40,1,1,1795514039081,'demo','prod',NULL,'{"id":40,"type":"deploy_log","payload":{"deploy_id":1,"step":"gate","stream":"stdout","line":"GET / HTTP/1.1 is answered with 200 OK","instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871"},"time":"2026-11-24T09:53:59.081Z","recorded":"2026-11-24T09:53:59.082Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(63,2,1,1795514040037,'demo','prod',NULL,'{"id":63,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"system","line":"waiting until the new instance is good"},"time":"2026-11-24T09:54:00.037Z","recorded":"2026-11-24T09:54:00.037Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(64,2,1,1795514040031,'demo','prod',NULL,'{"id":64,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"release two starts in container e0478321fccf","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:00.031Z","recorded":"2026-11-24T09:54:00.354Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(65,2,1,1795514040432,'demo','prod',NULL,'{"id":65,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"warming up, 1 of 8","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:00.432Z","recorded":"2026-11-24T09:54:00.432Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(66,2,1,1795514040832,'demo','prod',NULL,'{"id":66,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"warming up, 2 of 8","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:00.832Z","recorded":"2026-11-24T09:54:00.832Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(67,2,1,1795514041232,'demo','prod',NULL,'{"id":67,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"warming up, 3 of 8","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:01.232Z","recorded":"2026-11-24T09:54:01.233Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(68,2,1,1795514041632,'demo','prod',NULL,'{"id":68,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"warming up, 4 of 8","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:01.632Z","recorded":"2026-11-24T09:54:01.633Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(69,2,1,1795514042032,'demo','prod',NULL,'{"id":69,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"warming up, 5 of 8","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:02.032Z","recorded":"2026-11-24T09:54:02.033Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(70,2,1,1795514042432,'demo','prod',NULL,'{"id":70,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"warming up, 6 of 8","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:02.432Z","recorded":"2026-11-24T09:54:02.433Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(71,2,1,1795514042833,'demo','prod',NULL,'{"id":71,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"warming up, 7 of 8","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:02.833Z","recorded":"2026-11-24T09:54:02.833Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(72,2,1,1795514043233,'demo','prod',NULL,'{"id":72,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"warming up, 8 of 8","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:03.233Z","recorded":"2026-11-24T09:54:03.233Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(73,2,1,1795514043233,'demo','prod',NULL,'{"id":73,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"listening on port 8080","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:03.233Z","recorded":"2026-11-24T09:54:03.234Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(74,2,1,1795514044210,'demo','prod',NULL,'{"id":74,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"GET / HTTP/1.1 is answered with 503 Service Unavailable","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:04.210Z","recorded":"2026-11-24T09:54:04.211Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(75,2,1,1795514045259,'demo','prod',NULL,'{"id":75,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"GET / HTTP/1.1 is answered with 503 Service Unavailable","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:05.259Z","recorded":"2026-11-24T09:54:05.260Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO deploy_logs VALUES(76,2,1,1795514046310,'demo','prod',NULL,'{"id":76,"type":"deploy_log","payload":{"deploy_id":2,"step":"gate","stream":"stdout","line":"GET / HTTP/1.1 is answered with 503 Service Unavailable","instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6"},"time":"2026-11-24T09:54:06.310Z","recorded":"2026-11-24T09:54:06.311Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
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
INSERT INTO deploy_steps VALUES(1,0,'plan','succeeded',1795514034600,1795514034602,'starts the first instance; nothing is replaced');
INSERT INTO deploy_steps VALUES(1,1,'pull','succeeded',1795514034603,1795514034606,'local image sha256:a4d9b7d9cb51a97de45fcac211d8c7d1fb116078c519a58a1129b169c20438ef');
INSERT INTO deploy_steps VALUES(1,2,'create','succeeded',1795514034608,1795514034649,'demo-prod-1-0');
INSERT INTO deploy_steps VALUES(1,3,'start','succeeded',1795514034650,1795514034887,NULL);
INSERT INTO deploy_steps VALUES(1,4,'gate','succeeded',1795514034888,1795514039146,'good after 4251 ms');
INSERT INTO deploy_steps VALUES(1,5,'replace','succeeded',1795514039146,1795514039159,NULL);
INSERT INTO deploy_steps VALUES(1,6,'retire','succeeded',1795514039159,1795514039161,NULL);
INSERT INTO deploy_steps VALUES(2,0,'plan','succeeded',1795514039671,1795514039674,'starts the new instance, and stops the old one when the new one is good: no downtime');
INSERT INTO deploy_steps VALUES(2,1,'pull','succeeded',1795514039675,1795514039677,'local image sha256:a4d9b7d9cb51a97de45fcac211d8c7d1fb116078c519a58a1129b169c20438ef');
INSERT INTO deploy_steps VALUES(2,2,'create','succeeded',1795514039678,1795514039850,'demo-prod-2-0');
INSERT INTO deploy_steps VALUES(2,3,'start','succeeded',1795514039852,1795514040034,NULL);
INSERT INTO deploy_steps VALUES(2,4,'gate','failed',1795514040036,1795514046400,'the new instance `demo-prod-2-0` is unhealthy, its health check says: release two: I am not well');
INSERT INTO deploy_steps VALUES(2,5,'replace','skipped',NULL,NULL,NULL);
INSERT INTO deploy_steps VALUES(2,6,'retire','skipped',NULL,NULL,NULL);
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
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER,
    first_event INTEGER,
    last_event  INTEGER
, rolls_back_to INTEGER, lane_was TEXT, cancel_reason TEXT);
INSERT INTO deploys VALUES(1,'demo','prod',1,'succeeded','{"kind":"user","name":"local"}','{"image":"tiny-forge-demo:91d394a6df76","env":[{"name":"RELEASE","value":"one"}],"ports":[],"volumes":[],"networks":[],"labels":{},"restart":"unless-stopped","health":{"docker":{"test":["CMD","/demo","check"],"interval_ms":1000,"timeout_ms":2000,"retries":3,"start_period_ms":4000}},"limits":{},"pull":"never","stop_grace_ms":10000}','tiny-forge-demo:91d394a6df76',NULL,'sha256:a4d9b7d9cb51a97de45fcac211d8c7d1fb116078c519a58a1129b169c20438ef','start-first','{"strategy":"start-first","downtime":false,"summary":"starts the first instance; nothing is replaced","warnings":[]}',NULL,NULL,'09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871',NULL,1795514034598,1795514034600,1795514039663,12,47,NULL,NULL,NULL);
INSERT INTO deploys VALUES(2,'demo','prod',2,'failed','{"kind":"user","name":"local"}','{"image":"tiny-forge-demo:91d394a6df76","env":[{"name":"RELEASE","value":"two"},{"name":"ILL","value":"yes"}],"ports":[],"volumes":[],"networks":[],"labels":{},"restart":"unless-stopped","health":{"docker":{"test":["CMD","/demo","check"],"interval_ms":1000,"timeout_ms":2000,"retries":3,"start_period_ms":4000}},"limits":{},"pull":"never","stop_grace_ms":10000}','tiny-forge-demo:91d394a6df76',NULL,'sha256:a4d9b7d9cb51a97de45fcac211d8c7d1fb116078c519a58a1129b169c20438ef','start-first','{"strategy":"start-first","downtime":false,"summary":"starts the new instance, and stops the old one when the new one is good: no downtime","replaces":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871","warnings":[]}','{"step":"gate","reason":"the new instance `demo-prod-2-0` is unhealthy, its health check says: release two: I am not well","oom":false,"health_output":"release two: I am not well\n","log_tail":["release two starts in container e0478321fccf","warming up, 1 of 8","warming up, 2 of 8","warming up, 3 of 8","warming up, 4 of 8","warming up, 5 of 8","warming up, 6 of 8","warming up, 7 of 8","warming up, 8 of 8","listening on port 8080","GET / HTTP/1.1 is answered with 503 Service Unavailable","GET / HTTP/1.1 is answered with 503 Service Unavailable","GET / HTTP/1.1 is answered with 503 Service Unavailable"]}','the new instance `demo-prod-2-0` is unhealthy, its health check says: release two: I am not well','e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6','09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871',1795514039669,1795514039671,1795514046999,49,80,1,'a3f1',NULL);
CREATE TABLE drops (
    id       INTEGER PRIMARY KEY,
    pipeline TEXT    NOT NULL,
    plugin   TEXT    NOT NULL,
    event    INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    time     INTEGER NOT NULL
);
INSERT INTO drops VALUES(1,'all','rules',6,'rule `no drafts` drops it',1795514034462);
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
INSERT INTO events VALUES(4,'plugin_status',1,1795514033751,NULL,NULL,NULL,NULL,'{"id":4,"type":"plugin_status","payload":{"plugin":"rules","state":"running","previous":"loading","digest":"bcb20dd05b29a801fd75d624a924a3c61afb85e6b42d6440f9640b1f1bcdba3b","version":"0.1.0"},"time":"2026-11-24T09:53:53.751Z","recorded":"2026-11-24T09:53:53.751Z","node":"n-bc5646a2fd80","subject":"plugins/rules","severity":"info","actor":{"kind":"system","name":"plugins"}}');
INSERT INTO events VALUES(5,'plugin_status',1,1795514034082,NULL,NULL,NULL,NULL,'{"id":5,"type":"plugin_status","payload":{"plugin":"team","state":"running","previous":"loading","digest":"5c618c4af8a1cc0febabb43f9a5c0a29e8ad8cdb5b80bda5eb8808b649cd2322","version":"0.1.0"},"time":"2026-11-24T09:53:54.082Z","recorded":"2026-11-24T09:53:54.082Z","node":"n-bc5646a2fd80","subject":"plugins/team","severity":"info","actor":{"kind":"system","name":"plugins"}}');
INSERT INTO events VALUES(6,'project_status',1,1795514034457,'draft','prod',NULL,NULL,'{"id":6,"type":"project_status","payload":{"project":"draft","change":"created","stage":"prod"},"time":"2026-11-24T09:53:54.457Z","recorded":"2026-11-24T09:53:54.457Z","node":"n-bc5646a2fd80","subject":"draft/prod","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(7,'project_status',1,1795514034469,'shop','prod',NULL,NULL,'{"id":7,"type":"project_status","payload":{"project":"shop","change":"created","stage":"prod"},"time":"2026-11-24T09:53:54.469Z","recorded":"2026-11-24T09:53:54.469Z","node":"n-bc5646a2fd80","subject":"shop/prod","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(8,'event_annotated',0,1795514034473,NULL,NULL,NULL,NULL,'{"id":8,"type":"event_annotated","payload":{"event":7,"plugin":"team","annotations":{"owner":"checkout"}},"time":"2026-11-24T09:53:54.473Z","recorded":"2026-11-24T09:53:54.473Z","node":"n-bc5646a2fd80","subject":"plugins/team","severity":"debug","actor":{"kind":"plugin","name":"team"},"cause":7}');
INSERT INTO events VALUES(9,'delivery_status',2,1795514034484,NULL,NULL,NULL,NULL,'{"id":9,"type":"delivery_status","payload":{"delivery":"d-1e472bf4466454ff27c32c05fbc5b89a","pipeline":"all","sink":"hook","status":"retrying","attempt":1,"reason":"answered 500","events":[7]},"time":"2026-11-24T09:53:54.484Z","recorded":"2026-11-24T09:53:54.484Z","node":"n-bc5646a2fd80","subject":"sinks/hook/deliveries/d-1e472bf4466454ff27c32c05fbc5b89a","severity":"warning","actor":{"kind":"plugin","name":"hook"},"cause":7}');
INSERT INTO events VALUES(10,'project_status',1,1795514034591,'demo','prod',NULL,NULL,'{"id":10,"type":"project_status","payload":{"project":"demo","change":"created","stage":"prod"},"time":"2026-11-24T09:53:54.591Z","recorded":"2026-11-24T09:53:54.591Z","node":"n-bc5646a2fd80","subject":"demo/prod","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(11,'project_status',1,1795514034595,'demo','prod',NULL,NULL,'{"id":11,"type":"project_status","payload":{"project":"demo","change":"updated","stage":"prod"},"time":"2026-11-24T09:53:54.595Z","recorded":"2026-11-24T09:53:54.595Z","node":"n-bc5646a2fd80","subject":"demo/prod","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(12,'deploy_status',1,1795514034598,'demo','prod',NULL,1,'{"id":12,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"queued","image":"tiny-forge-demo:91d394a6df76"},"time":"2026-11-24T09:53:54.598Z","recorded":"2026-11-24T09:53:54.598Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(13,'deploy_status',1,1795514034599,'demo','prod',NULL,1,'{"id":13,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"planning","image":"tiny-forge-demo:91d394a6df76","step":"plan","step_status":"running"},"time":"2026-11-24T09:53:54.599Z","recorded":"2026-11-24T09:53:54.600Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(14,'plugin_status',1,1795514034600,NULL,NULL,NULL,NULL,'{"id":14,"type":"plugin_status","payload":{"plugin":"quiet-hours.wasm","state":"not_configured","previous":"loading","digest":"d8824438449aaebc8ceb876ef4ad1b18f1ae033d1f4a0e311ca5a615fd9847ce","version":"0.1.0"},"time":"2026-11-24T09:53:54.600Z","recorded":"2026-11-24T09:53:54.601Z","node":"n-bc5646a2fd80","subject":"plugins/quiet-hours.wasm","severity":"info","actor":{"kind":"system","name":"plugins"}}');
INSERT INTO events VALUES(15,'deploy_status',1,1795514034601,'demo','prod',NULL,1,'{"id":15,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"planning","image":"tiny-forge-demo:91d394a6df76","strategy":"start-first","plan":{"strategy":"start-first","downtime":false,"summary":"starts the first instance; nothing is replaced","warnings":[]}},"time":"2026-11-24T09:53:54.601Z","recorded":"2026-11-24T09:53:54.601Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(16,'deploy_status',1,1795514034602,'demo','prod',NULL,1,'{"id":16,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"planning","image":"tiny-forge-demo:91d394a6df76","step":"plan","step_status":"succeeded","duration_ms":3,"message":"starts the first instance; nothing is replaced","strategy":"start-first"},"time":"2026-11-24T09:53:54.602Z","recorded":"2026-11-24T09:53:54.602Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(17,'deploy_status',1,1795514034603,'demo','prod',NULL,1,'{"id":17,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"pulling","image":"tiny-forge-demo:91d394a6df76","step":"pull","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:53:54.603Z","recorded":"2026-11-24T09:53:54.603Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(18,'deploy_status',1,1795514034606,'demo','prod',NULL,1,'{"id":18,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"pulling","image":"tiny-forge-demo:91d394a6df76","step":"pull","step_status":"succeeded","duration_ms":3,"message":"local image sha256:a4d9b7d9cb51a97de45fcac211d8c7d1fb116078c519a58a1129b169c20438ef","strategy":"start-first"},"time":"2026-11-24T09:53:54.606Z","recorded":"2026-11-24T09:53:54.606Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(19,'deploy_status',1,1795514034608,'demo','prod',NULL,1,'{"id":19,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"creating","image":"tiny-forge-demo:91d394a6df76","step":"create","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:53:54.608Z","recorded":"2026-11-24T09:53:54.608Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(20,'deploy_status',1,1795514034649,'demo','prod',NULL,1,'{"id":20,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"creating","image":"tiny-forge-demo:91d394a6df76","step":"create","step_status":"succeeded","duration_ms":41,"message":"demo-prod-1-0","strategy":"start-first"},"time":"2026-11-24T09:53:54.649Z","recorded":"2026-11-24T09:53:54.649Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(21,'deploy_status',1,1795514034650,'demo','prod',NULL,1,'{"id":21,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"starting","image":"tiny-forge-demo:91d394a6df76","step":"start","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:53:54.650Z","recorded":"2026-11-24T09:53:54.650Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(22,'instance_status',1,1795514034647,'demo','prod','demo-prod-1-0',NULL,'{"id":22,"type":"instance_status","payload":{"instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871","name":"demo-prod-1-0","image":"tiny-forge-demo:91d394a6df76","managed":true,"project":"demo","stage":"prod","deploy_id":1,"generation":1,"status":"created","health":"none","reason":"created","oom_killed":false,"restart_count":0,"planned":true,"source":"event"},"time":"2026-11-24T09:53:54.647Z","recorded":"2026-11-24T09:53:54.654Z","node":"n-bc5646a2fd80","subject":"demo/prod/instances/demo-prod-1-0","severity":"info","actor":{"kind":"system","name":"watcher"}}');
INSERT INTO events VALUES(23,'deploy_status',1,1795514034886,'demo','prod',NULL,1,'{"id":23,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"starting","image":"tiny-forge-demo:91d394a6df76","step":"start","step_status":"succeeded","duration_ms":236,"strategy":"start-first"},"time":"2026-11-24T09:53:54.886Z","recorded":"2026-11-24T09:53:54.887Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(24,'deploy_status',1,1795514034888,'demo','prod',NULL,1,'{"id":24,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"gating","image":"tiny-forge-demo:91d394a6df76","step":"gate","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:53:54.888Z","recorded":"2026-11-24T09:53:54.888Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(25,'instance_status',1,1795514034886,'demo','prod','demo-prod-1-0',NULL,'{"id":25,"type":"instance_status","payload":{"instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871","name":"demo-prod-1-0","image":"tiny-forge-demo:91d394a6df76","managed":true,"project":"demo","stage":"prod","deploy_id":1,"generation":1,"status":"running","previous":"created","health":"starting","reason":"started","oom_killed":false,"restart_count":0,"planned":true,"source":"event"},"time":"2026-11-24T09:53:54.886Z","recorded":"2026-11-24T09:53:54.891Z","node":"n-bc5646a2fd80","subject":"demo/prod/instances/demo-prod-1-0","severity":"info","actor":{"kind":"system","name":"watcher"}}');
INSERT INTO events VALUES(29,'delivery_status',0,1795514035440,NULL,NULL,NULL,NULL,'{"id":29,"type":"delivery_status","payload":{"delivery":"d-1e472bf4466454ff27c32c05fbc5b89a","pipeline":"all","sink":"hook","status":"delivered","attempt":2,"events":[7]},"time":"2026-11-24T09:53:55.440Z","recorded":"2026-11-24T09:53:55.440Z","node":"n-bc5646a2fd80","subject":"sinks/hook/deliveries/d-1e472bf4466454ff27c32c05fbc5b89a","severity":"debug","actor":{"kind":"plugin","name":"hook"},"cause":7}');
INSERT INTO events VALUES(30,'delivery_status',0,1795514035445,NULL,NULL,NULL,NULL,'{"id":30,"type":"delivery_status","payload":{"delivery":"d-2622816ab58da81e08cdcfb3295fa0c8","pipeline":"all","sink":"hook","status":"delivered","attempt":1,"events":[10]},"time":"2026-11-24T09:53:55.445Z","recorded":"2026-11-24T09:53:55.445Z","node":"n-bc5646a2fd80","subject":"sinks/hook/deliveries/d-2622816ab58da81e08cdcfb3295fa0c8","severity":"debug","actor":{"kind":"plugin","name":"hook"},"cause":10}');
INSERT INTO events VALUES(31,'delivery_status',0,1795514035448,NULL,NULL,NULL,NULL,'{"id":31,"type":"delivery_status","payload":{"delivery":"d-cb3824ee7dff76a890f0739cd6fe3335","pipeline":"all","sink":"hook","status":"delivered","attempt":1,"events":[11]},"time":"2026-11-24T09:53:55.448Z","recorded":"2026-11-24T09:53:55.448Z","node":"n-bc5646a2fd80","subject":"sinks/hook/deliveries/d-cb3824ee7dff76a890f0739cd6fe3335","severity":"debug","actor":{"kind":"plugin","name":"hook"},"cause":11}');
INSERT INTO events VALUES(41,'instance_status',1,1795514039086,'demo','prod','demo-prod-1-0',NULL,'{"id":41,"type":"instance_status","payload":{"instance":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871","name":"demo-prod-1-0","image":"tiny-forge-demo:91d394a6df76","managed":true,"project":"demo","stage":"prod","deploy_id":1,"generation":1,"status":"running","health":"healthy","reason":"healthy","oom_killed":false,"restart_count":0,"planned":true,"source":"event"},"time":"2026-11-24T09:53:59.086Z","recorded":"2026-11-24T09:53:59.088Z","node":"n-bc5646a2fd80","subject":"demo/prod/instances/demo-prod-1-0","severity":"info","actor":{"kind":"system","name":"watcher"}}');
INSERT INTO events VALUES(42,'deploy_status',1,1795514039145,'demo','prod',NULL,1,'{"id":42,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"gating","image":"tiny-forge-demo:91d394a6df76","step":"gate","step_status":"succeeded","duration_ms":4257,"message":"good after 4251 ms","strategy":"start-first"},"time":"2026-11-24T09:53:59.145Z","recorded":"2026-11-24T09:53:59.146Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(43,'deploy_status',1,1795514039146,'demo','prod',NULL,1,'{"id":43,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"replacing","image":"tiny-forge-demo:91d394a6df76","step":"replace","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:53:59.146Z","recorded":"2026-11-24T09:53:59.147Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(44,'deploy_status',1,1795514039159,'demo','prod',NULL,1,'{"id":44,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"replacing","image":"tiny-forge-demo:91d394a6df76","step":"replace","step_status":"succeeded","duration_ms":13,"strategy":"start-first"},"time":"2026-11-24T09:53:59.159Z","recorded":"2026-11-24T09:53:59.159Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(45,'deploy_status',1,1795514039159,'demo','prod',NULL,1,'{"id":45,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"retiring","image":"tiny-forge-demo:91d394a6df76","step":"retire","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:53:59.159Z","recorded":"2026-11-24T09:53:59.160Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(46,'deploy_status',1,1795514039160,'demo','prod',NULL,1,'{"id":46,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"retiring","image":"tiny-forge-demo:91d394a6df76","step":"retire","step_status":"succeeded","duration_ms":1,"strategy":"start-first"},"time":"2026-11-24T09:53:59.160Z","recorded":"2026-11-24T09:53:59.161Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(47,'deploy_status',1,1795514039663,'demo','prod',NULL,1,'{"id":47,"type":"deploy_status","payload":{"deploy_id":1,"project":"demo","stage":"prod","generation":1,"status":"succeeded","image":"tiny-forge-demo:91d394a6df76","strategy":"start-first"},"time":"2026-11-24T09:53:59.663Z","recorded":"2026-11-24T09:53:59.663Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/1","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(48,'project_status',1,1795514039666,'demo','prod',NULL,NULL,'{"id":48,"type":"project_status","payload":{"project":"demo","change":"updated","stage":"prod"},"time":"2026-11-24T09:53:59.666Z","recorded":"2026-11-24T09:53:59.666Z","node":"n-bc5646a2fd80","subject":"demo/prod","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(49,'deploy_status',1,1795514039669,'demo','prod',NULL,2,'{"id":49,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"queued","image":"tiny-forge-demo:91d394a6df76"},"time":"2026-11-24T09:53:59.669Z","recorded":"2026-11-24T09:53:59.669Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(50,'delivery_status',0,1795514039670,NULL,NULL,NULL,NULL,'{"id":50,"type":"delivery_status","payload":{"delivery":"d-9439f8870ae4b0e7716bce612ac0e9c9","pipeline":"all","sink":"hook","status":"delivered","attempt":1,"events":[48]},"time":"2026-11-24T09:53:59.670Z","recorded":"2026-11-24T09:53:59.670Z","node":"n-bc5646a2fd80","subject":"sinks/hook/deliveries/d-9439f8870ae4b0e7716bce612ac0e9c9","severity":"debug","actor":{"kind":"plugin","name":"hook"},"cause":48}');
INSERT INTO events VALUES(51,'deploy_status',1,1795514039670,'demo','prod',NULL,2,'{"id":51,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"planning","image":"tiny-forge-demo:91d394a6df76","step":"plan","step_status":"running"},"time":"2026-11-24T09:53:59.670Z","recorded":"2026-11-24T09:53:59.671Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(52,'deploy_status',1,1795514039673,'demo','prod',NULL,2,'{"id":52,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"planning","image":"tiny-forge-demo:91d394a6df76","strategy":"start-first","plan":{"strategy":"start-first","downtime":false,"summary":"starts the new instance, and stops the old one when the new one is good: no downtime","replaces":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871","warnings":[]}},"time":"2026-11-24T09:53:59.673Z","recorded":"2026-11-24T09:53:59.674Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(53,'deploy_status',1,1795514039674,'demo','prod',NULL,2,'{"id":53,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"planning","image":"tiny-forge-demo:91d394a6df76","step":"plan","step_status":"succeeded","duration_ms":4,"message":"starts the new instance, and stops the old one when the new one is good: no downtime","strategy":"start-first"},"time":"2026-11-24T09:53:59.674Z","recorded":"2026-11-24T09:53:59.674Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(54,'deploy_status',1,1795514039675,'demo','prod',NULL,2,'{"id":54,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"pulling","image":"tiny-forge-demo:91d394a6df76","step":"pull","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:53:59.675Z","recorded":"2026-11-24T09:53:59.675Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(55,'deploy_status',1,1795514039677,'demo','prod',NULL,2,'{"id":55,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"pulling","image":"tiny-forge-demo:91d394a6df76","step":"pull","step_status":"succeeded","duration_ms":2,"message":"local image sha256:a4d9b7d9cb51a97de45fcac211d8c7d1fb116078c519a58a1129b169c20438ef","strategy":"start-first"},"time":"2026-11-24T09:53:59.677Z","recorded":"2026-11-24T09:53:59.678Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(56,'deploy_status',1,1795514039678,'demo','prod',NULL,2,'{"id":56,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"creating","image":"tiny-forge-demo:91d394a6df76","step":"create","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:53:59.678Z","recorded":"2026-11-24T09:53:59.678Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(57,'deploy_status',1,1795514039850,'demo','prod',NULL,2,'{"id":57,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"creating","image":"tiny-forge-demo:91d394a6df76","step":"create","step_status":"succeeded","duration_ms":172,"message":"demo-prod-2-0","strategy":"start-first"},"time":"2026-11-24T09:53:59.850Z","recorded":"2026-11-24T09:53:59.850Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(58,'instance_status',1,1795514039849,'demo','prod','demo-prod-2-0',NULL,'{"id":58,"type":"instance_status","payload":{"instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6","name":"demo-prod-2-0","image":"tiny-forge-demo:91d394a6df76","managed":true,"project":"demo","stage":"prod","deploy_id":2,"generation":2,"status":"created","health":"none","reason":"created","oom_killed":false,"restart_count":0,"planned":false,"source":"event"},"time":"2026-11-24T09:53:59.849Z","recorded":"2026-11-24T09:53:59.852Z","node":"n-bc5646a2fd80","subject":"demo/prod/instances/demo-prod-2-0","severity":"info","actor":{"kind":"system","name":"watcher"}}');
INSERT INTO events VALUES(59,'deploy_status',1,1795514039851,'demo','prod',NULL,2,'{"id":59,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"starting","image":"tiny-forge-demo:91d394a6df76","step":"start","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:53:59.851Z","recorded":"2026-11-24T09:53:59.852Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(60,'deploy_status',1,1795514040034,'demo','prod',NULL,2,'{"id":60,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"starting","image":"tiny-forge-demo:91d394a6df76","step":"start","step_status":"succeeded","duration_ms":183,"strategy":"start-first"},"time":"2026-11-24T09:54:00.034Z","recorded":"2026-11-24T09:54:00.034Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(61,'instance_status',1,1795514040034,'demo','prod','demo-prod-2-0',NULL,'{"id":61,"type":"instance_status","payload":{"instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6","name":"demo-prod-2-0","image":"tiny-forge-demo:91d394a6df76","managed":true,"project":"demo","stage":"prod","deploy_id":2,"generation":2,"status":"running","previous":"created","health":"starting","reason":"started","oom_killed":false,"restart_count":0,"planned":true,"source":"event"},"time":"2026-11-24T09:54:00.034Z","recorded":"2026-11-24T09:54:00.036Z","node":"n-bc5646a2fd80","subject":"demo/prod/instances/demo-prod-2-0","severity":"info","actor":{"kind":"system","name":"watcher"}}');
INSERT INTO events VALUES(62,'deploy_status',1,1795514040036,'demo','prod',NULL,2,'{"id":62,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"gating","image":"tiny-forge-demo:91d394a6df76","step":"gate","step_status":"running","strategy":"start-first"},"time":"2026-11-24T09:54:00.036Z","recorded":"2026-11-24T09:54:00.036Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(77,'instance_status',1,1795514046314,'demo','prod','demo-prod-2-0',NULL,'{"id":77,"type":"instance_status","payload":{"instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6","name":"demo-prod-2-0","image":"tiny-forge-demo:91d394a6df76","managed":true,"project":"demo","stage":"prod","deploy_id":2,"generation":2,"status":"running","health":"unhealthy","reason":"unhealthy","oom_killed":false,"restart_count":0,"planned":true,"source":"event"},"time":"2026-11-24T09:54:06.314Z","recorded":"2026-11-24T09:54:06.316Z","node":"n-bc5646a2fd80","subject":"demo/prod/instances/demo-prod-2-0","severity":"info","actor":{"kind":"system","name":"watcher"}}');
INSERT INTO events VALUES(78,'deploy_status',2,1795514046400,'demo','prod',NULL,2,'{"id":78,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"gating","image":"tiny-forge-demo:91d394a6df76","step":"gate","step_status":"failed","duration_ms":6364,"message":"the new instance `demo-prod-2-0` is unhealthy, its health check says: release two: I am not well","strategy":"start-first"},"time":"2026-11-24T09:54:06.400Z","recorded":"2026-11-24T09:54:06.400Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"warning","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(79,'instance_status',1,1795514046436,'demo','prod','demo-prod-2-0',NULL,'{"id":79,"type":"instance_status","payload":{"instance":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6","name":"demo-prod-2-0","image":"tiny-forge-demo:91d394a6df76","managed":true,"project":"demo","stage":"prod","deploy_id":2,"generation":2,"status":"exited","previous":"running","health":"unhealthy","reason":"stopped","exit_code":0,"oom_killed":false,"restart_count":0,"planned":true,"source":"event"},"time":"2026-11-24T09:54:06.436Z","recorded":"2026-11-24T09:54:06.498Z","node":"n-bc5646a2fd80","subject":"demo/prod/instances/demo-prod-2-0","severity":"info","actor":{"kind":"system","name":"watcher"}}');
INSERT INTO events VALUES(80,'deploy_status',3,1795514046999,'demo','prod',NULL,2,'{"id":80,"type":"deploy_status","payload":{"deploy_id":2,"project":"demo","stage":"prod","generation":2,"status":"failed","image":"tiny-forge-demo:91d394a6df76","message":"the new instance `demo-prod-2-0` is unhealthy, its health check says: release two: I am not well","strategy":"start-first","failure":{"step":"gate","reason":"the new instance `demo-prod-2-0` is unhealthy, its health check says: release two: I am not well","oom":false,"health_output":"release two: I am not well\n","log_tail":["release two starts in container e0478321fccf","warming up, 1 of 8","warming up, 2 of 8","warming up, 3 of 8","warming up, 4 of 8","warming up, 5 of 8","warming up, 6 of 8","warming up, 7 of 8","warming up, 8 of 8","listening on port 8080","GET / HTTP/1.1 is answered with 503 Service Unavailable","GET / HTTP/1.1 is answered with 503 Service Unavailable","GET / HTTP/1.1 is answered with 503 Service Unavailable"]}},"time":"2026-11-24T09:54:06.999Z","recorded":"2026-11-24T09:54:06.999Z","node":"n-bc5646a2fd80","subject":"demo/prod/deploys/2","severity":"error","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(81,'project_status',1,1795514047003,'demo','prod',NULL,NULL,'{"id":81,"type":"project_status","payload":{"project":"demo","change":"updated","stage":"prod"},"time":"2026-11-24T09:54:07.003Z","recorded":"2026-11-24T09:54:07.004Z","node":"n-bc5646a2fd80","subject":"demo/prod","severity":"info","actor":{"kind":"user","name":"local"}}');
INSERT INTO events VALUES(82,'delivery_status',0,1795514047008,NULL,NULL,NULL,NULL,'{"id":82,"type":"delivery_status","payload":{"delivery":"d-af5de8e8e39833b4045ef8db255c4656","pipeline":"all","sink":"hook","status":"delivered","attempt":1,"events":[81]},"time":"2026-11-24T09:54:07.008Z","recorded":"2026-11-24T09:54:07.008Z","node":"n-bc5646a2fd80","subject":"sinks/hook/deliveries/d-af5de8e8e39833b4045ef8db255c4656","severity":"debug","actor":{"kind":"plugin","name":"hook"},"cause":81}');
INSERT INTO events VALUES(83,'system',1,1795514050019,NULL,NULL,NULL,NULL,'{"id":83,"type":"system","payload":{"what":"stopping","message":"tiny-forge is stopping"},"time":"2026-11-24T09:54:10.019Z","recorded":"2026-11-24T09:54:10.019Z","node":"n-bc5646a2fd80","subject":"server","severity":"info","actor":{"kind":"system","name":"server"}}');
CREATE TABLE instances (
    id         TEXT PRIMARY KEY,
    name       TEXT    NOT NULL,
    project    TEXT,
    stage      TEXT,
    managed    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    json       TEXT    NOT NULL
) WITHOUT ROWID;
INSERT INTO instances VALUES('09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871','demo-prod-1-0','demo','prod',1,1795514039088,'{"id":"09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871","name":"demo-prod-1-0","image":"tiny-forge-demo:91d394a6df76","managed":true,"project":"demo","stage":"prod","deploy":1,"generation":1,"status":"running","health":"healthy","oom_killed":false,"restart_count":0,"created_at":"2026-11-24T09:53:54.610Z","started_at":"2026-11-24T09:53:54.884Z","ports":[],"labels":{"tiny-forge.deploy":"1","tiny-forge.generation":"1","tiny-forge.project":"demo","tiny-forge.spec-hash":"252a3b8aa855a844","tiny-forge.stage":"prod"},"updated_at":"2026-11-24T09:53:59.088Z","stale":false}');
INSERT INTO instances VALUES('e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6','demo-prod-2-0','demo','prod',1,1795514046498,'{"id":"e0478321fccf47af3bd65cce7357c024b0130c6c0019991fab2919ec48927ed6","name":"demo-prod-2-0","image":"tiny-forge-demo:91d394a6df76","managed":true,"project":"demo","stage":"prod","deploy":2,"generation":2,"status":"exited","health":"unhealthy","exit_code":0,"oom_killed":false,"restart_count":0,"created_at":"2026-11-24T09:53:59.680Z","started_at":"2026-11-24T09:54:00.032Z","finished_at":"2026-11-24T09:54:06.413Z","ports":[],"labels":{"tiny-forge.deploy":"2","tiny-forge.generation":"2","tiny-forge.project":"demo","tiny-forge.spec-hash":"42c35d9ebb32913f","tiny-forge.stage":"prod"},"updated_at":"2026-11-24T09:54:06.498Z","stale":false}');
CREATE TABLE kept (
    type  TEXT    PRIMARY KEY,
    rows  INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    floor INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO kept VALUES('audit',0,0,3);
INSERT INTO kept VALUES('delivery_status',6,2462,3);
INSERT INTO kept VALUES('deploy_log',26,9903,0);
INSERT INTO kept VALUES('deploy_status',30,13903,3);
INSERT INTO kept VALUES('event_annotated',1,296,3);
INSERT INTO kept VALUES('instance_status',7,4216,3);
INSERT INTO kept VALUES('plugin_status',3,1156,3);
INSERT INTO kept VALUES('project_status',6,1626,3);
INSERT INTO kept VALUES('system',1,265,3);
INSERT INTO kept VALUES('watch_gap',0,0,3);
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
INSERT INTO lanes VALUES('demo','prod','{"image":"tiny-forge-demo:91d394a6df76","env":[{"name":"RELEASE","value":"one"}],"ports":[],"volumes":[],"networks":[],"labels":{},"restart":"unless-stopped","health":{"docker":{"test":["CMD","/demo","check"],"interval_ms":1000,"timeout_ms":2000,"retries":3,"start_period_ms":4000}},"limits":{},"pull":"never","stop_grace_ms":10000}',2,1,'09e94be4da93d6e17f4a8a8147c0cabd65a994ab57207ec60f9260e338f73871');
INSERT INTO lanes VALUES('draft','prod','{"image":"app:1","env":[],"ports":[],"volumes":[],"networks":[],"labels":{},"restart":"unless-stopped","health":{},"limits":{},"pull":"always","stop_grace_ms":10000}',0,NULL,NULL);
INSERT INTO lanes VALUES('shop','prod','{"image":"app:1","env":[{"name":"TOKEN","value":"sealed:v1:Lv/NVgTJ0SkdAvuo8wDD/nCx0aUuDawK8xNz8JVmH4IO5wTAfEskkbMqRjA=","secret":true}],"ports":[],"volumes":[],"networks":[],"labels":{},"restart":"unless-stopped","health":{},"limits":{},"pull":"always","stop_grace_ms":10000}',0,NULL,NULL);
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES('head','83');
INSERT INTO meta VALUES('journal','j5d4ec6823ec1');
INSERT INTO meta VALUES('node','n-bc5646a2fd80');
CREATE TABLE once_keys (
    pipeline TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    time     INTEGER NOT NULL,
    PRIMARY KEY (pipeline, key)
) WITHOUT ROWID;
INSERT INTO once_keys VALUES('digest','5f3c0de1a7b94c02',1795514047004);
CREATE TABLE pipelines (
    name    TEXT PRIMARY KEY,
    cursor  INTEGER NOT NULL,
    seen    INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO pipelines VALUES('all',81,6,1,0);
CREATE TABLE plugin_store (
    plugin TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (plugin, key)
) WITHOUT ROWID;
INSERT INTO plugin_store VALUES('rules','seen',X'3432');
CREATE TABLE projects (
    name       TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO projects VALUES('demo',1795514034591);
INSERT INTO projects VALUES('draft',1795514034457);
INSERT INTO projects VALUES('shop',1795514034469);
CREATE TABLE secrets (
    name       TEXT    PRIMARY KEY,
    sealed     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO secrets VALUES('slack-hook','v1.AAAA',1795514034591,1795514034591);
CREATE TABLE traces (
    pipeline TEXT    NOT NULL,
    last     INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    json     TEXT    NOT NULL,
    PRIMARY KEY (pipeline, last)
) WITHOUT ROWID;
INSERT INTO traces VALUES('all',81,1795514047004,'{"decided_at":"2026-11-24T09:54:07.004Z","plugins":[{"plugin":"rules","version":"0.1.0","digest":"bcb20dd05b29a801fd75d624a924a3c61afb85e6b42d6440f9640b1f1bcdba3b"},{"plugin":"team","version":"0.1.0","digest":"5c618c4af8a1cc0febabb43f9a5c0a29e8ad8cdb5b80bda5eb8808b649cd2322"}],"events":[{"event":81,"outcome":"passed","steps":[{"decision":"keep","duration_us":41,"by":0},{"decision":"nothing","duration_us":38,"by":1}]}]}');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('deploys',2);
CREATE INDEX deploy_logs_by_deploy ON deploy_logs (deploy, id);
CREATE INDEX deploys_by_lane ON deploys (project, stage, id);
CREATE INDEX instances_by_lane ON instances (project, stage);
CREATE INDEX drops_by_pipeline ON drops (pipeline, id);
CREATE INDEX deliveries_by_position ON deliveries (position);
CREATE INDEX traces_by_time ON traces (time);
CREATE INDEX deploys_open ON deploys (id) WHERE ended_at IS NULL;
CREATE INDEX deliveries_by_sink ON deliveries (sink, status, position, octet_length(input));
CREATE INDEX once_keys_by_time ON once_keys (pipeline, time);
COMMIT;
