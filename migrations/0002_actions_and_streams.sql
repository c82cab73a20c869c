-- Actions that wait, are canceled and are tried again; registration tokens; a log that can be streamed.

ALTER TABLE action
    DROP CONSTRAINT action_object_type_check,
    ADD CONSTRAINT action_object_type_check CHECK (object_type IN ('nodecluster', 'node', 'token')),
    -- When work on it began; it may have waited behind another action on the same object.
    ADD COLUMN began_at timestamptz,
    -- The size that a scale asks for.
    ADD COLUMN target_num_nodes integer CHECK (target_num_nodes >= 0);
UPDATE action SET began_at = started_at;
ALTER TABLE action
    ADD CONSTRAINT action_that_waits_has_not_begun CHECK (state <> 'Pending' OR began_at IS NULL);
-- One operation at a time on one object; the others wait behind it.
CREATE UNIQUE INDEX action_under_way ON action (object_id) WHERE state IN ('In progress', 'Canceling');
CREATE INDEX action_open ON action (object_id, started_at) WHERE ended_at IS NULL;

-- The operation under way on a node is found by its object, as that of a cluster.
ALTER TABLE node
    DROP COLUMN action_id,
    ADD COLUMN docker_version text;

-- A launch that was decided and, since its operation was canceled, is never sent (again).
ALTER TABLE launch
    DROP CONSTRAINT launch_state_check,
    ADD CONSTRAINT launch_state_check CHECK (state IN ('decided', 'sent', 'launched', 'refused', 'withdrawn')),
    DROP CONSTRAINT launch_end_has_a_time,
    ADD CONSTRAINT launch_end_has_a_time
        CHECK ((state IN ('launched', 'refused', 'withdrawn')) = (ended_at IS NOT NULL));

-- Lets a machine register itself as a node of the namespace. Only the SHA-256 is kept.
CREATE TABLE node_token (
    id uuid PRIMARY KEY,
    namespace_id uuid NOT NULL REFERENCES namespace,
    sha256 bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE event
    DROP CONSTRAINT event_parent_type_check,
    ADD CONSTRAINT event_parent_type_check CHECK (parent_type IN ('nodecluster', 'node', 'token'));
CREATE INDEX event_of_namespace ON event (namespace_id, seq);

-- A reader follows the log by its sequence, so the order of the sequence must be the order of the commits: an event with
-- a smaller number must never become visible after one with a greater one. So the events of a transaction are written
-- at its very end (the triggers are deferred), by one transaction at a time (the lock, which is given back when the
-- commit is visible). No row is locked after that, so nobody can wait for each other in a circle.
DROP TRIGGER cluster_created ON cluster;
DROP TRIGGER cluster_changed ON cluster;
DROP TRIGGER node_created ON node;
DROP TRIGGER node_changed ON node;
DROP TRIGGER action_created ON action;
DROP TRIGGER action_changed ON action;

CREATE OR REPLACE FUNCTION record_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kind text := CASE TG_TABLE_NAME WHEN 'cluster' THEN 'nodecluster' ELSE TG_TABLE_NAME END;
    parent_kind text;
    parent uuid;
BEGIN
    IF TG_TABLE_NAME = 'node' THEN
        parent := NEW.cluster_id;
        parent_kind := CASE WHEN parent IS NOT NULL THEN 'nodecluster' END;
    ELSIF TG_TABLE_NAME = 'action' THEN
        parent := NEW.object_id;
        parent_kind := NEW.object_type;
    END IF;
    PERFORM pg_advisory_xact_lock(x'62657274682e6576'::bigint);
    INSERT INTO event (namespace_id, type, change, object_id, parent_type, parent_id, state)
    VALUES (NEW.namespace_id, kind,
            CASE WHEN TG_OP = 'INSERT' THEN 'create' WHEN NEW.state = 'Terminated' THEN 'delete' ELSE 'update' END,
            NEW.id, parent_kind, parent, NEW.state);
    PERFORM pg_notify('berth_event', '');
    RETURN NULL;
END;
$$;

CREATE CONSTRAINT TRIGGER cluster_created AFTER INSERT ON cluster DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION record_event();
CREATE CONSTRAINT TRIGGER cluster_changed AFTER UPDATE OF state ON cluster DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION record_event();
CREATE CONSTRAINT TRIGGER node_created AFTER INSERT ON node DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION record_event();
CREATE CONSTRAINT TRIGGER node_changed AFTER UPDATE OF state ON node DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION record_event();
CREATE CONSTRAINT TRIGGER action_created AFTER INSERT ON action DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION record_event();
CREATE CONSTRAINT TRIGGER action_changed AFTER UPDATE OF state ON action DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION record_event();

CREATE FUNCTION tell_of_log_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('berth_action_log', NEW.action_id::text);
    RETURN NULL;
END;
$$;

CREATE TRIGGER action_log_written AFTER INSERT ON action_log
    FOR EACH ROW EXECUTE FUNCTION tell_of_log_line();
