-- Times are UTC text of one width, so that they sort: 2026-01-02T03:04:05.000000000Z.
PRAGMA application_id = 1212239425;

CREATE TABLE schema_version (
    version    INTEGER PRIMARY KEY,
    applied_at TEXT NOT NULL
);

CREATE TABLE fence (
    name   TEXT PRIMARY KEY,
    value  INTEGER NOT NULL,
    holder TEXT NOT NULL,
    until  TEXT
);

-- body is the record as JSON, fence is the lease that wrote it.
CREATE TABLE slots (
    slot     TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    fence    INTEGER NOT NULL,
    body     TEXT NOT NULL
);

CREATE TABLE accounts (
    id       TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    fence    INTEGER NOT NULL,
    body     TEXT NOT NULL
);

-- generation is 64 bits without a sign, kept in a column with one.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          TEXT NOT NULL,
    slot        TEXT NOT NULL,
    account     TEXT NOT NULL,
    act         TEXT NOT NULL,
    reason      TEXT NOT NULL,
    actor       TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    token_id    INTEGER NOT NULL,
    target      TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    detail      TEXT NOT NULL
);
CREATE INDEX events_slot ON events (slot, id);
CREATE INDEX events_account ON events (account, id) WHERE slot = '';

CREATE TABLE requests (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT NOT NULL,
    slot      TEXT NOT NULL,
    reason    TEXT NOT NULL,
    actor     TEXT NOT NULL,
    at        TEXT NOT NULL,
    closed_at TEXT,
    outcome   TEXT NOT NULL
);
CREATE INDEX requests_open ON requests (slot, id) WHERE closed_at IS NULL;
