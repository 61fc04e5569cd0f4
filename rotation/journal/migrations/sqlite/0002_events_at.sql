-- The history since a time, and pruning, begin at a time, not at an end.
CREATE INDEX events_at ON events (at, id);
