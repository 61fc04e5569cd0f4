-- What an emergency is asked with: revoke before issuing, the deadline in
-- nanoseconds, one token by its number. Records have new fields too, which an
-- earlier release would refuse.
ALTER TABLE requests ADD COLUMN revoke_first INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN deadline INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN token_id INTEGER NOT NULL DEFAULT 0;
