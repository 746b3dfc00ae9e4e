-- Evidence says from when to when it was reported. The last report that supports a flag, as of this revision: a revision
-- each day would show on which days the install reported, so there is one when the number of days has doubled.
ALTER TABLE license_flags$local $on_cluster
    ADD COLUMN IF NOT EXISTS until DateTime('UTC') DEFAULT at COMMENT 'last report that supports it' AFTER since;
