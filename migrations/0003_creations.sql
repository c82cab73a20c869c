-- What Berth makes of a network has no client token (but the route table), so it is written down before the call that
-- makes it, and its id after the answer. A row without an id is a call whose outcome is not known.
CREATE TABLE creation (
    network_id uuid NOT NULL REFERENCES network,
    kind text NOT NULL CHECK (kind IN ('vpc', 'internet gateway', 'route table', 'security group')),
    asked_at timestamptz NOT NULL DEFAULT now(),
    object_id text,
    PRIMARY KEY (network_id, kind)
);
-- What exists already is known by its tags, and written down at the next look.
INSERT INTO creation (network_id, kind, object_id)
SELECT id, 'security group', security_group_id FROM network WHERE security_group_id IS NOT NULL;
INSERT INTO creation (network_id, kind, object_id)
SELECT id, 'vpc', vpc_id FROM network WHERE vpc_choice = 'auto' AND vpc_id IS NOT NULL;
