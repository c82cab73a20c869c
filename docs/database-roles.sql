-- A role for `berth serve` that owns nothing and changes no schema. Run by the role that runs `berth migrate`, in Berth's
-- database, after the first migration; give it a password of its own, or a client certificate.

CREATE ROLE berth_serve LOGIN;

-- Before Postgres 15 everybody may create tables.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO berth_serve;

-- Also of the tables that later migrations make.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO berth_serve;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO berth_serve;

-- What was recorded stays as it was: the events and the logs are only written to, the actions are only carried on.
REVOKE UPDATE, DELETE ON event, action_log FROM berth_serve;
REVOKE DELETE ON action FROM berth_serve;
-- Which installation it is and which migrations it has is none of its business.
REVOKE INSERT, UPDATE, DELETE ON installation, _sqlx_migrations FROM berth_serve;
