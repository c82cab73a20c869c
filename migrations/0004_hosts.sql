-- Hosts that call home: a machine that its owner brings registers with a token, and is a node without a cluster.

-- A token is good for one node. It stays that node's credential, as the original agent needs it: it has no other.
ALTER TABLE node_token
    ADD COLUMN node_id uuid UNIQUE REFERENCES node,
    ADD COLUMN used_at timestamptz,
    -- The address of the machine that registered with it.
    ADD COLUMN used_from text,
    ADD CONSTRAINT node_token_use_is_whole
        CHECK ((node_id IS NULL) = (used_at IS NULL) AND (node_id IS NULL) = (used_from IS NULL));

ALTER TABLE node
    -- What its agent said of itself; none has called where there is no version.
    ADD COLUMN agent_version text,
    -- The certificate (PEM) that the node's engine shows. It is pinned: an agent that announces another one is not let in.
    ADD COLUMN public_cert text,
    -- The address of the tunnel that an original agent opened, where its engine can't be reached.
    ADD COLUMN tunnel text,
    -- Whether the engine answered when it was last asked; null where it was not asked at the node's present address.
    ADD COLUMN is_reachable boolean,
    ADD COLUMN probed_at timestamptz,
    -- Until then somebody is asking the engine already.
    ADD COLUMN probe_claimed_until timestamptz;

-- The live nodes that their owners brought, which no site's worker looks after.
CREATE INDEX node_brought ON node (created_at) WHERE brought_by_owner AND state <> 'Terminated';
