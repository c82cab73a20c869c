-- Links to AWS accounts of the namespaces' own, beside the server's.

-- What the trust policy of a namespace's role asks for, so that nobody has Berth assume a role of somebody else's.
ALTER TABLE namespace ADD COLUMN external_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid();

-- A namespace has one link for each account that it was ever linked to; `namespace.account_link_id` is the one in use, and
-- the ambient one where none is. Linked to the same account again, it finds its sites and networks.
ALTER TABLE account_link
    DROP CONSTRAINT account_link_kind_check,
    -- 'none': the credentials were deleted.
    ADD CONSTRAINT account_link_kind_check CHECK (kind IN ('ambient', 'key', 'role', 'none')),
    ADD COLUMN namespace_id uuid REFERENCES namespace,
    ADD COLUMN account text CHECK (account ~ '^[0-9]{12}$'),
    ADD COLUMN access_key_id text,
    -- Sealed under the installation's secret key, for this link and this access key.
    ADD COLUMN sealed_secret bytea,
    ADD COLUMN role_arn text,
    -- Grows with every change of the credentials.
    ADD COLUMN version bigint NOT NULL DEFAULT 0,
    ADD COLUMN linked_at timestamptz,
    -- When it was last tried whether the credentials are good, and when it is to be tried again.
    ADD COLUMN checked_at timestamptz,
    ADD COLUMN check_at timestamptz,
    -- Why the credentials are not good, in words for the user.
    ADD COLUMN invalid text,
    ADD CONSTRAINT account_link_one_for_an_account UNIQUE (namespace_id, account),
    ADD CONSTRAINT account_link_ambient_is_nobodys
        CHECK ((kind = 'ambient') = (namespace_id IS NULL) AND (kind = 'ambient') = (account IS NULL)),
    ADD CONSTRAINT account_link_key_is_whole
        CHECK ((kind = 'key') = (access_key_id IS NOT NULL) AND (kind = 'key') = (sealed_secret IS NOT NULL)),
    ADD CONSTRAINT account_link_role_is_whole CHECK ((kind = 'role') = (role_arn IS NOT NULL)),
    ADD CONSTRAINT account_link_good_or_not CHECK (invalid IS NULL OR kind IN ('key', 'role'));
CREATE INDEX account_link_to_check ON account_link (check_at) WHERE kind IN ('key', 'role');

ALTER TABLE action
    DROP CONSTRAINT action_object_type_check,
    ADD CONSTRAINT action_object_type_check CHECK (object_type IN ('nodecluster', 'node', 'token', 'credentials'));
ALTER TABLE event
    DROP CONSTRAINT event_parent_type_check,
    ADD CONSTRAINT event_parent_type_check CHECK (parent_type IN ('nodecluster', 'node', 'token', 'credentials'));
