-- Users and organizations, what each of them may do, and how much a namespace may have.

-- A namespace is a user's own, or an organization's. The limits are null where the installation's count.
ALTER TABLE namespace
    ADD COLUMN kind text NOT NULL DEFAULT 'personal' CHECK (kind IN ('personal', 'organization')),
    ADD COLUMN max_clusters integer CHECK (max_clusters >= 0),
    ADD COLUMN max_nodes integer CHECK (max_nodes >= 0),
    ADD CONSTRAINT namespace_of_a_kind UNIQUE (id, kind);

-- A removed user stays, so that nobody else gets the name and with it what was recorded under it.
ALTER TABLE users
    ADD COLUMN namespace_kind text NOT NULL DEFAULT 'personal' CHECK (namespace_kind = 'personal'),
    ADD COLUMN is_operator boolean NOT NULL DEFAULT false,
    ADD COLUMN removed_at timestamptz,
    ADD CONSTRAINT users_namespace_is_personal
        FOREIGN KEY (namespace_id, namespace_kind) REFERENCES namespace (id, kind);

CREATE TABLE member (
    namespace_id uuid NOT NULL,
    namespace_kind text NOT NULL DEFAULT 'organization' CHECK (namespace_kind = 'organization'),
    user_id uuid NOT NULL REFERENCES users,
    role text NOT NULL CHECK (role IN ('read', 'read-write', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace_id, user_id),
    CONSTRAINT member_of_an_organization FOREIGN KEY (namespace_id, namespace_kind) REFERENCES namespace (id, kind)
);
CREATE INDEX member_of_user ON member (user_id);

-- A key may do at most what its role allows, wherever it is used. What an older version writes gets a name by itself.
ALTER TABLE api_key
    ADD COLUMN name text NOT NULL DEFAULT 'key-' || left(gen_random_uuid()::text, 8)
        CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    ADD COLUMN role text NOT NULL DEFAULT 'admin' CHECK (role IN ('read', 'read-write', 'admin')),
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN last_used_at timestamptz,
    ADD CONSTRAINT api_key_name_of_user UNIQUE (user_id, name);

ALTER TABLE action
    DROP CONSTRAINT action_object_type_check,
    ADD CONSTRAINT action_object_type_check
        CHECK (object_type IN ('nodecluster', 'node', 'token', 'credentials', 'user', 'org', 'member', 'key', 'quota'));
ALTER TABLE event
    DROP CONSTRAINT event_parent_type_check,
    ADD CONSTRAINT event_parent_type_check
        CHECK (parent_type IN ('nodecluster', 'node', 'token', 'credentials', 'user', 'org', 'member', 'key', 'quota'));
