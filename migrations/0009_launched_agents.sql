-- Agents on the nodes that Berth launches: a node is deployed when its agent has called home and its engine answers.

ALTER TABLE cluster
    -- What makes its nodes usable: their agent, or that their instance runs. Those that are there have no agents.
    ADD COLUMN readiness text NOT NULL DEFAULT 'instance' CHECK (readiness IN ('agent', 'instance'));
ALTER TABLE cluster ALTER COLUMN readiness DROP DEFAULT;

ALTER TABLE launch
    -- With the token that is in its user data the launch's instances register. The user data that is kept has no token
    -- in it: whoever reads the database reads no credentials. The token itself is there, sealed, as long as the launch may
    -- have to be sent again.
    ADD COLUMN token_sha256 bytea UNIQUE,
    ADD COLUMN sealed_token bytea,
    ADD CONSTRAINT launch_token_is_whole CHECK (
        CASE WHEN state IN ('decided', 'sent') THEN (token_sha256 IS NULL) = (sealed_token IS NULL)
             ELSE sealed_token IS NULL END);

ALTER TABLE node
    -- As EC2 last showed it.
    ADD COLUMN instance_state text,
    -- The public address that the agent of a launched node tells. EC2's word counts; another one is a reason to ask.
    ADD COLUMN told_ip text,
    -- Where its engine is asked: a node without a public address is reached within its VPC, or not at all.
    ADD COLUMN engine_address text GENERATED ALWAYS AS
        (coalesce(public_ip, nullif(split_part(private_ips -> 0 ->> 'cidr', '/', 1), ''))) STORED,
    -- What the instance printed, kept where its agent has not called home.
    ADD COLUMN console_output text,
    -- When it was asked for, also where there was none.
    ADD COLUMN examined_at timestamptz;
