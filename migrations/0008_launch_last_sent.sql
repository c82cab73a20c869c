-- A launch may be sent often; what its last sending can still bring about is counted from that one.
ALTER TABLE launch ADD COLUMN last_sent_at timestamptz;
UPDATE launch SET last_sent_at = sent_at;
ALTER TABLE launch ADD CONSTRAINT launch_sendings_have_times CHECK ((sent_at IS NULL) = (last_sent_at IS NULL));
