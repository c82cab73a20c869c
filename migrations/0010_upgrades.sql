-- Upgrades of engines, carried out by the agents on the nodes, and heartbeats in great numbers.

-- One for each node of an action; the nodes of a cluster take turns.
CREATE TABLE upgrade (
    -- The order's id, as the agent is told it.
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    action_id uuid NOT NULL REFERENCES action,
    node_id uuid NOT NULL REFERENCES node,
    turn integer NOT NULL,
    -- When its turn came.
    ordered_at timestamptz,
    version_before text,
    -- When an answer to a heartbeat carried it first.
    told_at timestamptz,
    -- What the agent has reported at its end, with the new version or the reason.
    outcome text CHECK (outcome IN ('Success', 'Failed')),
    message text,
    ended_at timestamptz,
    -- Why it came to nothing; none where the engine was upgraded, and where there was nothing to be done.
    failure text,
    UNIQUE (action_id, node_id),
    CONSTRAINT upgrade_is_told_once_ordered CHECK (told_at IS NULL OR ordered_at IS NOT NULL),
    CONSTRAINT upgrade_is_reported_once_told CHECK (outcome IS NULL OR told_at IS NOT NULL),
    CONSTRAINT upgrade_report_is_whole CHECK ((outcome IS NULL) = (message IS NULL)),
    CONSTRAINT upgrade_fails_at_its_end CHECK (failure IS NULL OR ended_at IS NOT NULL)
);
CREATE UNIQUE INDEX upgrade_under_way ON upgrade (node_id) WHERE ordered_at IS NOT NULL AND ended_at IS NULL;

-- A heartbeat changes no column that is in an index, and finds room on its row's page: then Postgres writes the row anew
-- without touching the indexes, which is most of what a heartbeat costs.
DROP INDEX node_heartbeat;
CREATE INDEX node_that_may_fall_silent ON node (id) WHERE state IN ('Deploying', 'Deployed', 'Upgrading');
ALTER TABLE node SET (fillfactor = 60);
