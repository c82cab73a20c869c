-- What linked accounts show of AWS, beside the packaged catalogue (ADR 12).

-- Whether it was packaged, or an account has shown it.
ALTER TABLE region ADD COLUMN is_packaged boolean NOT NULL DEFAULT true;
ALTER TABLE node_type ADD COLUMN is_packaged boolean NOT NULL DEFAULT true;
UPDATE node_type SET label = replace(label, ' vCPUs,', ' vCPU,');

ALTER TABLE account_link
    -- When it is to be read what the account has, and when that was last done.
    ADD COLUMN refresh_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN refreshed_at timestamptz,
    -- How often in a row something of it could not be read.
    ADD COLUMN refresh_failures integer NOT NULL DEFAULT 0,
    -- Grows whenever what was read is other than before.
    ADD COLUMN shown_version bigint NOT NULL DEFAULT 0;
CREATE INDEX account_link_to_refresh ON account_link (refresh_at) WHERE kind <> 'none';

-- A region as an account has it.
CREATE TABLE link_region (
    link_id uuid NOT NULL REFERENCES account_link,
    region text NOT NULL REFERENCES region,
    -- Whether the account has opted in to it, where it must.
    is_on boolean NOT NULL,
    -- Whether its zones are known.
    is_read boolean NOT NULL,
    -- Why it could not be read, or not all of it, the last time: AWS's words.
    refusal text,
    PRIMARY KEY (link_id, region),
    CONSTRAINT link_region_off_is_not_read CHECK (is_on OR NOT is_read)
);

-- A zone as an account has it, with the names of the node types that it offers: one row, since a thousand types in each
-- of a hundred zones would be as many rows for every link.
CREATE TABLE link_zone (
    link_id uuid NOT NULL,
    region text NOT NULL,
    zone text NOT NULL,
    is_available boolean NOT NULL,
    node_types text[] NOT NULL,
    PRIMARY KEY (link_id, zone),
    FOREIGN KEY (link_id, region) REFERENCES link_region ON DELETE CASCADE
);
