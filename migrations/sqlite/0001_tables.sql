-- Étiage's tables in the embedded store: the names and columns of the .cql file of the same
-- number. Times are ISO 8601 text in UTC, which sorts as time does; labels are JSON; final is 0
-- or 1. What Cassandra keeps as a cell's write timestamp stands in the columns stamp and
-- mean_before_stamp.

CREATE TABLE rows_by_time (
    "view" TEXT NOT NULL,
    width TEXT NOT NULL,
    metric TEXT NOT NULL,
    tenant TEXT NOT NULL,
    bucket TEXT NOT NULL,
    window_start TEXT NOT NULL,
    "key" TEXT NOT NULL,
    label TEXT,
    labels TEXT,
    window_end TEXT,
    count INTEGER,
    mean REAL,
    min REAL,
    max REAL,
    stddev REAL,
    alarms INTEGER,
    active INTEGER,
    outliers INTEGER,
    mean_before REAL,
    final INTEGER NOT NULL DEFAULT 0,
    revision INTEGER,
    generation INTEGER,
    updated_at TEXT,
    stamp INTEGER,
    mean_before_stamp INTEGER,
    PRIMARY KEY ("view", width, metric, tenant, bucket, window_start, "key")
) WITHOUT ROWID;

CREATE TABLE rows_by_key (
    "view" TEXT NOT NULL,
    width TEXT NOT NULL,
    metric TEXT NOT NULL,
    tenant TEXT NOT NULL,
    "key" TEXT NOT NULL,
    year INTEGER NOT NULL,
    window_start TEXT NOT NULL,
    label TEXT,
    labels TEXT,
    window_end TEXT,
    count INTEGER,
    mean REAL,
    min REAL,
    max REAL,
    stddev REAL,
    alarms INTEGER,
    active INTEGER,
    outliers INTEGER,
    mean_before REAL,
    final INTEGER NOT NULL DEFAULT 0,
    revision INTEGER,
    generation INTEGER,
    updated_at TEXT,
    stamp INTEGER,
    mean_before_stamp INTEGER,
    PRIMARY KEY ("view", width, metric, tenant, "key", year DESC, window_start DESC)
) WITHOUT ROWID;

CREATE TABLE parts (
    "view" TEXT NOT NULL,
    generation INTEGER NOT NULL,
    width TEXT NOT NULL,
    tenant TEXT NOT NULL,
    "key" TEXT NOT NULL,
    window_start TEXT NOT NULL,
    topic_id BLOB NOT NULL,
    "partition" INTEGER NOT NULL,
    state BLOB NOT NULL,
    stamp INTEGER NOT NULL,
    PRIMARY KEY ("view", generation, width, tenant, "key", window_start, topic_id, "partition")
) WITHOUT ROWID;

CREATE TABLE generations (
    "view" TEXT NOT NULL,
    generation INTEGER NOT NULL,
    epoch_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    meaning TEXT NOT NULL,
    consumer_group TEXT NOT NULL,
    starts TEXT NOT NULL,
    PRIMARY KEY ("view", generation)
) WITHOUT ROWID;

CREATE TABLE closing (
    "view" TEXT NOT NULL,
    generation INTEGER NOT NULL,
    width TEXT NOT NULL,
    cursor TEXT,
    closed TEXT,
    PRIMARY KEY ("view", generation, width)
) WITHOUT ROWID;

CREATE TABLE positions (
    consumer_group TEXT NOT NULL,
    topic_id BLOB NOT NULL,
    "partition" INTEGER NOT NULL,
    kind TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    metadata BLOB NOT NULL,
    written_at TEXT NOT NULL,
    PRIMARY KEY (consumer_group, topic_id, "partition", kind, "offset" DESC)
) WITHOUT ROWID;
