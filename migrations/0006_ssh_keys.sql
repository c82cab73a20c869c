-- The public keys that may log in to a cluster's nodes.
ALTER TABLE cluster ADD COLUMN ssh_authorized_keys text[] NOT NULL DEFAULT '{}';
