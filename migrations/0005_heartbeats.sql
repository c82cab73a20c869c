-- What the agent of a host tells by its heartbeats; the last one counts.

ALTER TABLE node
    ADD COLUMN heartbeat_at timestamptz,
    ADD COLUMN docker_execdriver text,
    ADD COLUMN docker_graphdriver text,
    -- As the machine itself has it, in whole cores, kB and GB.
    ADD COLUMN cpu_cores integer CHECK (cpu_cores >= 0),
    ADD COLUMN memory_kb bigint CHECK (memory_kb >= 0),
    ADD COLUMN host_disk_gb integer CHECK (host_disk_gb >= 0),
    ADD COLUMN containers integer NOT NULL DEFAULT 0 CHECK (containers >= 0),
    -- What the machine says that it is in EC2. Not its node's instance: that one is known from its launch.
    ADD COLUMN told_instance_id text,
    -- Whether the address is one that the machine told, rather than the one that it calls from.
    ADD COLUMN is_address_told boolean NOT NULL DEFAULT false;

-- Who has fallen silent.
CREATE INDEX node_heartbeat ON node (heartbeat_at)
    WHERE heartbeat_at IS NOT NULL AND state IN ('Deploying', 'Deployed', 'Upgrading');

-- Who signs the certificates with which a namespace's users, and Berth itself, are let in by its nodes' engines.
CREATE TABLE authority (
    namespace_id uuid PRIMARY KEY REFERENCES namespace,
    -- In PEM.
    certificate text NOT NULL,
    -- Sealed under the installation's secret key, which is not in the database.
    sealed_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
