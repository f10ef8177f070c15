-- Each statement is one step of a migration: `user_version` says how many were taken. Only ever add at the end.

CREATE TABLE log (position INTEGER PRIMARY KEY, record BLOB NOT NULL, crc INTEGER NOT NULL);

CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), record BLOB NOT NULL, crc INTEGER NOT NULL);
