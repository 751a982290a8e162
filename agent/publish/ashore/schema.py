"""The tables of a picture's store, by version."""

from __future__ import annotations

# One text a version: what brings a file of the version before to it. Append only.
STEPS = (
    """
CREATE TABLE births (n INTEGER PRIMARY KEY, node TEXT NOT NULL, boot INTEGER NOT NULL, boot16 INTEGER NOT NULL,
    payload BLOB NOT NULL, received_at REAL NOT NULL, UNIQUE (node, boot));
CREATE INDEX births_by_half ON births (node, boot16);
CREATE TABLE keys (node TEXT PRIMARY KEY, key BLOB NOT NULL);
CREATE TABLE messages (n INTEGER PRIMARY KEY, node TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, received_at REAL NOT NULL, payload BLOB NOT NULL, UNIQUE (node, boot, seq));
CREATE TABLE lost (node TEXT NOT NULL, boot INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (node, boot, first, last));
CREATE TABLE held (n INTEGER PRIMARY KEY, node TEXT NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,
    received_at REAL NOT NULL);
CREATE TABLE alerts (node TEXT NOT NULL, id INTEGER NOT NULL, revision INTEGER NOT NULL, at REAL NOT NULL,
    state TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (node, id));
CREATE INDEX open_alerts ON alerts (at) WHERE state <> 'cleared';
CREATE TABLE tracks (node TEXT NOT NULL, id INTEGER NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
    at REAL NOT NULL, mmsi INTEGER, row TEXT NOT NULL, PRIMARY KEY (node, id)) WITHOUT ROWID;
CREATE TABLE nodes (node TEXT PRIMARY KEY, boot INTEGER, online INTEGER, row TEXT NOT NULL, health TEXT NOT NULL
    DEFAULT '{}');
CREATE TABLE images (n INTEGER PRIMARY KEY, node TEXT NOT NULL, command TEXT NOT NULL, row TEXT NOT NULL)
""",
    # 2: sentences of health by number; where each boot begins in this store, and what was given up in time
    """
CREATE TABLE notes (node TEXT NOT NULL, boot INTEGER NOT NULL, note INTEGER NOT NULL, sentence TEXT NOT NULL,
    PRIMARY KEY (node, boot, note)) WITHOUT ROWID;
CREATE TABLE began (node TEXT NOT NULL, boot INTEGER NOT NULL, first INTEGER NOT NULL, PRIMARY KEY (node, boot))
    WITHOUT ROWID;
INSERT INTO began SELECT node, boot, min(seq) FROM messages GROUP BY node, boot;
CREATE TABLE retired (node TEXT NOT NULL, boot INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (node, boot, first)) WITHOUT ROWID
""",
)
SCHEMA_VERSION = len(STEPS)
