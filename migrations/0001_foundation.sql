-- The state of Berth. What must never be is forbidden here, not only in the code.
-- Times are the database's own: one clock for every replica.

CREATE TABLE installation (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO installation DEFAULT VALUES;

-- Whose AWS account it is. 'ambient' is the server's own credentials.
CREATE TABLE account_link (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind text NOT NULL CHECK (kind IN ('ambient')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX account_link_one_ambient ON account_link (kind) WHERE kind = 'ambient';
INSERT INTO account_link (kind) VALUES ('ambient');

CREATE TABLE namespace (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    account_link_id uuid NOT NULL REFERENCES account_link,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE,
    namespace_id uuid NOT NULL UNIQUE REFERENCES namespace,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Only the SHA-256 of a key is kept; a key has 256 random bits, so there is nothing to guess.
CREATE TABLE api_key (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users,
    sha256 bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One AWS account link in one region: what a worker holds by a lease. The fencing token grows with every acquisition;
-- every write of a worker checks it.
CREATE TABLE site (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_link_id uuid NOT NULL REFERENCES account_link,
    region text NOT NULL,
    lease_owner uuid,
    lease_expires_at timestamptz,
    fencing_token bigint NOT NULL DEFAULT 0,
    UNIQUE (account_link_id, region),
    CONSTRAINT site_lease_is_whole CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL))
);

CREATE TABLE region (
    name text PRIMARY KEY,
    label text NOT NULL
);

CREATE TABLE zone (
    name text PRIMARY KEY,
    region text NOT NULL REFERENCES region
);

CREATE TABLE node_type (
    name text PRIMARY KEY,
    label text NOT NULL,
    vcpus integer NOT NULL CHECK (vcpus > 0),
    memory_mb integer NOT NULL CHECK (memory_mb > 0),
    architecture text NOT NULL CHECK (architecture IN ('amd64', 'arm64'))
);

CREATE TABLE node_type_zone (
    node_type text NOT NULL REFERENCES node_type,
    zone text NOT NULL REFERENCES zone,
    PRIMARY KEY (node_type, zone)
);

CREATE TABLE action (
    id uuid PRIMARY KEY,
    namespace_id uuid NOT NULL REFERENCES namespace,
    name text NOT NULL,
    object_type text NOT NULL CHECK (object_type IN ('nodecluster', 'node')),
    object_id uuid NOT NULL,
    state text NOT NULL
        CHECK (state IN ('Pending', 'In progress', 'Canceling', 'Canceled', 'Success', 'Failed')),
    method text NOT NULL,
    path text NOT NULL,
    body text NOT NULL,
    user_name text NOT NULL,
    user_agent text NOT NULL,
    ip text NOT NULL,
    -- Why it can't reach its aim, from the moment that this is known.
    failure text,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT action_end_has_a_time CHECK ((state IN ('Canceled', 'Success', 'Failed')) = (ended_at IS NOT NULL)),
    CONSTRAINT action_failure_has_a_reason CHECK (state <> 'Failed' OR failure IS NOT NULL)
);
CREATE INDEX action_newest_first ON action (namespace_id, started_at DESC, id DESC);
CREATE INDEX action_of_object ON action (object_id);

CREATE TABLE action_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_id uuid NOT NULL REFERENCES action,
    line text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX action_log_of_action ON action_log (action_id, id);

CREATE TABLE cluster (
    id uuid PRIMARY KEY,
    namespace_id uuid NOT NULL REFERENCES namespace,
    -- Known from its first deploy on.
    site_id uuid REFERENCES site,
    name text NOT NULL CHECK (name ~ '^[A-Za-z0-9_-]{1,128}$'),
    nickname text NOT NULL,
    state text NOT NULL
        CHECK (state IN ('Init', 'Deploying', 'Deployed', 'Partly deployed', 'Scaling', 'Terminating',
                         'Terminated', 'Empty cluster')),
    region text NOT NULL REFERENCES region,
    node_type text NOT NULL REFERENCES node_type,
    disk_gb integer NOT NULL CHECK (disk_gb > 0),
    target_num_nodes integer NOT NULL CHECK (target_num_nodes >= 0),
    -- Grows with every change of what is wanted, so that a worker's decision on an older look is not applied.
    revision bigint NOT NULL DEFAULT 0,
    tags text[] NOT NULL,
    automatic_tags text[] NOT NULL,
    provider_options jsonb NOT NULL,
    -- The operation that is under way.
    action_id uuid REFERENCES action,
    created_at timestamptz NOT NULL DEFAULT now(),
    deployed_at timestamptz,
    destroyed_at timestamptz,
    CONSTRAINT cluster_moves_by_an_action
        CHECK (state NOT IN ('Deploying', 'Scaling', 'Terminating') OR (action_id IS NOT NULL AND site_id IS NOT NULL)),
    CONSTRAINT cluster_end_has_a_time CHECK ((state = 'Terminated') = (destroyed_at IS NOT NULL))
);
CREATE UNIQUE INDEX cluster_live_name ON cluster (namespace_id, name) WHERE state <> 'Terminated';
CREATE INDEX cluster_of_site ON cluster (site_id) WHERE state <> 'Terminated';

-- A decided RunInstances request. The token is only ever sent with this request and these counts.
CREATE TABLE launch (
    id uuid PRIMARY KEY,
    cluster_id uuid NOT NULL REFERENCES cluster,
    site_id uuid NOT NULL REFERENCES site,
    client_token text NOT NULL UNIQUE CHECK (length(client_token) BETWEEN 1 AND 64),
    zone text NOT NULL,
    subnet_id text NOT NULL,
    subnet_cidr cidr NOT NULL,
    count integer NOT NULL CHECK (count BETWEEN 1 AND 100),
    request jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('decided', 'sent', 'launched', 'refused')),
    attempts integer NOT NULL DEFAULT 0,
    retry_at timestamptz NOT NULL DEFAULT now(),
    -- EC2's words, where it refused.
    refusal text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT launch_end_has_a_time CHECK ((state IN ('launched', 'refused')) = (ended_at IS NOT NULL)),
    CONSTRAINT launch_refusal_has_words CHECK ((state = 'refused') = (refusal IS NOT NULL))
);
CREATE INDEX launch_open ON launch (cluster_id) WHERE state IN ('decided', 'sent');
CREATE INDEX launch_open_of_site ON launch (site_id) WHERE state IN ('decided', 'sent');

CREATE TABLE node (
    id uuid PRIMARY KEY,
    namespace_id uuid NOT NULL REFERENCES namespace,
    cluster_id uuid REFERENCES cluster,
    brought_by_owner boolean NOT NULL DEFAULT false,
    state text NOT NULL
        CHECK (state IN ('Deploying', 'Deployed', 'Unreachable', 'Upgrading', 'Terminating', 'Terminated')),
    nickname text,
    tags text[] NOT NULL,
    launch_id uuid REFERENCES launch,
    zone text,
    subnet_id text,
    instance_id text UNIQUE,
    external_fqdn text NOT NULL DEFAULT '',
    public_ip text,
    private_ips jsonb NOT NULL DEFAULT '[]',
    -- The termination that was asked for of this node alone.
    action_id uuid REFERENCES action,
    created_at timestamptz NOT NULL DEFAULT now(),
    launched_at timestamptz,
    deployed_at timestamptz,
    terminate_requested_at timestamptz,
    destroyed_at timestamptz,
    last_seen_at timestamptz,
    tagged_at timestamptz,
    CONSTRAINT node_has_a_cluster_or_an_owner CHECK ((cluster_id IS NULL) = brought_by_owner),
    CONSTRAINT node_end_has_a_time CHECK ((state = 'Terminated') = (destroyed_at IS NOT NULL)),
    CONSTRAINT node_launch_has_a_place CHECK (launch_id IS NULL OR (zone IS NOT NULL AND subnet_id IS NOT NULL)),
    CONSTRAINT node_instance_has_a_launch CHECK (instance_id IS NULL OR launch_id IS NOT NULL OR brought_by_owner),
    CONSTRAINT node_deployed_has_an_instance
        CHECK (state NOT IN ('Deployed', 'Upgrading') OR instance_id IS NOT NULL OR brought_by_owner)
);
CREATE INDEX node_of_cluster ON node (cluster_id);
CREATE INDEX node_newest_first ON node (namespace_id, created_at DESC, id);
CREATE INDEX node_of_launch ON node (launch_id);

-- A VPC as Berth uses it in one site: the one it manages ('auto'), or one of the user's (its id).
CREATE TABLE network (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    site_id uuid NOT NULL REFERENCES site,
    vpc_choice text NOT NULL,
    vpc_id text,
    -- The group that was made in it, once its rules are written.
    security_group_id text,
    -- The token of the CreateRouteTable call whose outcome is not known.
    route_table_token uuid,
    UNIQUE (site_id, vpc_choice)
);

-- The block that was decided for a zone's dc-subnet, before the call that makes it.
CREATE TABLE subnet (
    network_id uuid NOT NULL REFERENCES network,
    zone text NOT NULL,
    cidr cidr NOT NULL,
    subnet_id text UNIQUE,
    PRIMARY KEY (network_id, zone)
);

-- Where EC2 had no room for a node type, so that a restart does not ask again at once.
CREATE TABLE outage (
    site_id uuid NOT NULL REFERENCES site,
    node_type text NOT NULL REFERENCES node_type,
    zone text NOT NULL,
    -- '' means the whole zone.
    subnet_id text NOT NULL DEFAULT '',
    until timestamptz NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (site_id, node_type, zone, subnet_id)
);

-- Each state change of a cluster, node or action, in the commit that made it.
CREATE TABLE event (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    namespace_id uuid NOT NULL REFERENCES namespace,
    type text NOT NULL CHECK (type IN ('nodecluster', 'node', 'action')),
    change text NOT NULL CHECK (change IN ('create', 'update', 'delete')),
    object_id uuid NOT NULL,
    parent_type text CHECK (parent_type IN ('nodecluster', 'node')),
    parent_id uuid,
    state text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT event_parent_is_whole CHECK ((parent_type IS NULL) = (parent_id IS NULL))
);
CREATE INDEX event_of_object ON event (object_id, seq);

-- A trigger, so that no writer of a state can forget its event.
CREATE FUNCTION record_event() RETURNS trigger LANGUAGE plpgsql AS $$
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
    INSERT INTO event (namespace_id, type, change, object_id, parent_type, parent_id, state)
    VALUES (NEW.namespace_id, kind,
            CASE WHEN TG_OP = 'INSERT' THEN 'create' WHEN NEW.state = 'Terminated' THEN 'delete' ELSE 'update' END,
            NEW.id, parent_kind, parent, NEW.state);
    RETURN NULL;
END;
$$;

CREATE TRIGGER cluster_created AFTER INSERT ON cluster
    FOR EACH ROW EXECUTE FUNCTION record_event();
CREATE TRIGGER cluster_changed AFTER UPDATE OF state ON cluster
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION record_event();
CREATE TRIGGER node_created AFTER INSERT ON node
    FOR EACH ROW EXECUTE FUNCTION record_event();
CREATE TRIGGER node_changed AFTER UPDATE OF state ON node
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION record_event();
CREATE TRIGGER action_created AFTER INSERT ON action
    FOR EACH ROW EXECUTE FUNCTION record_event();
CREATE TRIGGER action_changed AFTER UPDATE OF state ON action
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION record_event();
