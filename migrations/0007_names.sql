-- The names of nodes in a hosted zone of the operator's, in Route 53.

-- Which zone it is, and who works on it: one worker at a time, by a lease as that of a site. Which zone is what the worker
-- that was started last was told.
CREATE TABLE naming (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    hosted_zone_id text,
    -- A node is <uuid>.node.<domain>.
    domain text,
    lease_owner uuid,
    lease_expires_at timestamptz,
    fencing_token bigint NOT NULL DEFAULT 0,
    CONSTRAINT naming_zone_is_whole CHECK ((hosted_zone_id IS NULL) = (domain IS NULL)),
    CONSTRAINT naming_lease_is_whole CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL))
);
INSERT INTO naming DEFAULT VALUES;

-- What Route 53 has, or may have, of a node: a row is there before the call that makes the records, and goes after the
-- answer to the one that removes them. So no record is there that no row knows.
CREATE TABLE node_name (
    hosted_zone_id text NOT NULL,
    name text NOT NULL,
    node_id uuid NOT NULL REFERENCES node,
    -- The address that was asked for by a call whose outcome is not known.
    asked text,
    asked_at timestamptz,
    -- The address that Route 53 has, where nothing is asked for; else one that it had.
    confirmed text,
    PRIMARY KEY (hosted_zone_id, name),
    CONSTRAINT node_name_asking_has_a_time CHECK ((asked IS NULL) = (asked_at IS NULL)),
    CONSTRAINT node_name_is_of_something CHECK (asked IS NOT NULL OR confirmed IS NOT NULL)
);

-- An address changes in the commit of a sweep, wherever that runs; whoever keeps the names is told.
CREATE FUNCTION wake_naming() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM naming WHERE domain IS NOT NULL) THEN
        PERFORM pg_notify('berth_naming', '');
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER node_to_be_named AFTER UPDATE OF public_ip, state ON node
    FOR EACH ROW WHEN (
        OLD.public_ip IS DISTINCT FROM NEW.public_ip
        OR (OLD.state <> NEW.state AND NEW.state IN ('Terminating', 'Terminated')))
    EXECUTE FUNCTION wake_naming();
