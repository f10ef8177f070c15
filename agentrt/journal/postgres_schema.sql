-- Each statement is one step of a migration: `agentrt.version` says how many were taken. Only ever add at the end.

CREATE TABLE agentrt.meta (
    journal integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    epoch bigint NOT NULL DEFAULT 0,
    owner text NOT NULL DEFAULT '',
    pid integer,
    host text,
    since timestamptz,
    last bigint NOT NULL DEFAULT 0,
    record bytea,
    crc bigint
) WITH (fillfactor = 50);

CREATE TABLE agentrt.log (
    journal integer NOT NULL,
    position bigint NOT NULL,
    record bytea NOT NULL,
    crc bigint NOT NULL,
    PRIMARY KEY (journal, position)
);
