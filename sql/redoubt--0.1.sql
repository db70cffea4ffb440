/* redoubt--0.1.sql - the extension's SQL objects.
 *
 * Order: roles, tables, the functions all token types share, keys, limits,
 * audit, create_token_type, the types that ship, what a dump carries.
 * Whatever reveals or administers is revoked from PUBLIC right where it is made.
 */
\echo Use "CREATE EXTENSION redoubt" to load this file. \quit

GRANT USAGE ON SCHEMA redoubt TO PUBLIC;

-- ------------------------------------------------------------------ roles

DO $roles$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['redoubt_admin', 'redoubt_auditor'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
      EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
    END IF;
  END LOOP;
END
$roles$;

-- ----------------------------------------------------------------- tables

CREATE TABLE redoubt.token_type (
  typ regtype PRIMARY KEY,
  class_id uuid NOT NULL UNIQUE,
  method text NOT NULL CHECK (method IN ('sealed', 'fpe', 'vault')),
  base text NOT NULL CHECK (base IN ('text', 'bytea', 'bigint')),
  pattern text,
  "normalize" text NOT NULL,
  mask text NOT NULL,
  deterministic boolean NOT NULL,
  key name NOT NULL,
  shipped boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  format text,
  key_version integer CHECK (key_version BETWEEN 1 AND 65535),
  ttl interval CHECK (ttl > '0'),
  invalid text NOT NULL DEFAULT 'keep' CHECK (invalid IN ('keep', 'refuse')),
  CHECK ((method = 'fpe') = (key_version IS NOT NULL)),
  CHECK (CASE method WHEN 'fpe' THEN format IS NOT NULL WHEN 'sealed' THEN format IS NULL ELSE true END),
  CHECK (method = 'vault' OR ttl IS NULL)
);
COMMENT ON TABLE redoubt.token_type IS 'policy of each token type; written by redoubt.create_token_type()';
COMMENT ON COLUMN redoubt.token_type.class_id IS 'associated data of every token of the type: what makes a token of another type an error';
COMMENT ON COLUMN redoubt.token_type.shipped IS 'part of the extension, so not in a dump';
COMMENT ON COLUMN redoubt.token_type.format IS 'of methods fpe and vault: the format, as create_token_type() takes it';
COMMENT ON COLUMN redoubt.token_type.key_version IS 'of method fpe: the key version of all its tokens, which have no room to name it';
COMMENT ON COLUMN redoubt.token_type.ttl IS 'of method vault: how long a token lives';
COMMENT ON COLUMN redoubt.token_type.invalid IS 'whether a value that normalize or pattern refuse is kept as it was typed, or refused';
GRANT SELECT ON redoubt.token_type TO PUBLIC;

CREATE TABLE redoubt.key (
  name text NOT NULL,
  version integer NOT NULL CHECK (version BETWEEN 1 AND 65535),
  wrapped bytea CHECK (pg_catalog.length(wrapped) = 72),
  kek_fingerprint text NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  state text NOT NULL DEFAULT 'in use' CHECK (state IN ('in use', 'retired', 'destroyed')),
  CHECK ((state = 'destroyed') = (wrapped IS NULL)),
  PRIMARY KEY (name, version)
);
COMMENT ON TABLE redoubt.key IS 'data keys, a row per version, wrapped by the key-encryption key (RFC 5649)';
COMMENT ON COLUMN redoubt.key.wrapped IS 'fingerprint key (32 bytes, equal in all versions) and encryption key (32 bytes), wrapped';
COMMENT ON COLUMN redoubt.key.state IS 'whether tokens of the version may be opened; of a destroyed one nothing is left that could';
REVOKE ALL ON redoubt.key FROM PUBLIC;
GRANT SELECT ON redoubt.key TO redoubt_admin;

-- Its indexes are looked up by name (src/pg/vault/vault_store.cpp).
CREATE TABLE redoubt.vault (
  class_id uuid NOT NULL,
  token bytea NOT NULL,
  fingerprint bytea,
  sealed bytea NOT NULL,
  expires_at timestamptz,
  disabled boolean NOT NULL DEFAULT false,
  CONSTRAINT vault_pkey PRIMARY KEY (class_id, token)
);
CREATE UNIQUE INDEX vault_fingerprint ON redoubt.vault (class_id, fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX vault_expiry ON redoubt.vault (expires_at) WHERE expires_at IS NOT NULL;
-- Nothing of it to pg_statistic; and random bytes do not compress.
ALTER TABLE redoubt.vault ALTER token SET STATISTICS 0, ALTER fingerprint SET STATISTICS 0, ALTER sealed SET STATISTICS 0,
  ALTER sealed SET STORAGE EXTERNAL;
COMMENT ON TABLE redoubt.vault IS 'the sealed values of vaulted tokens; whoever looks at it or writes it by hand is recorded';
COMMENT ON COLUMN redoubt.vault.class_id IS 'the token type, as in redoubt.token_type';
COMMENT ON COLUMN redoubt.vault.token IS '16 random bytes, or the token in its format';
COMMENT ON COLUMN redoubt.vault.fingerprint IS 'of a consistent type: the keyed fingerprint that finds the token of a value';
COMMENT ON COLUMN redoubt.vault.sealed IS 'the value, sealed with the type''s data key for this token (AES-SIV)';
COMMENT ON INDEX redoubt.vault_fingerprint IS 'one token for a value of a consistent type';
COMMENT ON INDEX redoubt.vault_expiry IS 'what the sweep looks for';
REVOKE ALL ON redoubt.vault FROM PUBLIC;

-- Not in a dump: it names triggers, tables and columns by number.  A trigger that it says nothing of does nothing.
CREATE TABLE redoubt.protection (
  trigger oid PRIMARY KEY,
  relation oid NOT NULL,
  source smallint NOT NULL,
  target smallint NOT NULL,
  token_type regtype NOT NULL,
  step text NOT NULL DEFAULT 'fill' CHECK (step IN ('fill', 'verify', 'swap')),
  next_block bigint NOT NULL DEFAULT 0,
  blocks bigint NOT NULL,
  rows_done bigint NOT NULL DEFAULT 0,
  file oid NOT NULL,
  version bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE redoubt.protection IS 'columns that protect_column() is at work on; written by its functions; a row goes with its trigger';
COMMENT ON COLUMN redoubt.protection.source IS 'number of the column that is to be protected';
COMMENT ON COLUMN redoubt.protection.target IS 'number of the token column beside it';
COMMENT ON COLUMN redoubt.protection.file IS 'the table''s file: another one begins anew at block 0';
COMMENT ON COLUMN redoubt.protection.version IS 'of the trigger''s row in pg_trigger: changes where it was switched off meanwhile';
REVOKE ALL ON redoubt.protection FROM PUBLIC;

CREATE FUNCTION redoubt.policy_changed() RETURNS trigger
  AS 'MODULE_PATHNAME', 'redoubt_policy_changed' LANGUAGE c;
COMMENT ON FUNCTION redoubt.policy_changed() IS 'internal: tells every backend and the audit trail that a policy table changed';
REVOKE ALL ON FUNCTION redoubt.policy_changed() FROM PUBLIC;

CREATE FUNCTION redoubt.guard_own_table() RETURNS trigger
  AS 'MODULE_PATHNAME', 'redoubt_guard_own_table' LANGUAGE c;
COMMENT ON FUNCTION redoubt.guard_own_table() IS 'internal: refuses a change of the extension''s tables to whoever is not their owner, whatever privilege the role has';
REVOKE ALL ON FUNCTION redoubt.guard_own_table() FROM PUBLIC;

CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON redoubt.token_type
  FOR EACH STATEMENT EXECUTE FUNCTION redoubt.policy_changed();
ALTER TABLE redoubt.token_type ENABLE ALWAYS TRIGGER policy_changed;
CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON redoubt.key
  FOR EACH STATEMENT EXECUTE FUNCTION redoubt.policy_changed();
ALTER TABLE redoubt.key ENABLE ALWAYS TRIGGER policy_changed;

-- ------------------------------------------------- shared by all token types

CREATE FUNCTION redoubt.token_info(token anyelement,
    OUT type regtype, OUT key text, OUT key_version integer, OUT form text, OUT bytes integer)
  AS 'MODULE_PATHNAME', 'redoubt_token_info' LANGUAGE c STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION redoubt.token_info(anyelement) IS 'what a token says of itself without any key: type, key and version, form, size';

CREATE FUNCTION redoubt.token(token anynonarray) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_token' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION redoubt.token(anynonarray) IS 'the token as text, whatever redoubt.reveal says';

CREATE FUNCTION redoubt.token_support(internal) RETURNS internal
  AS 'MODULE_PATHNAME', 'redoubt_token_support' LANGUAGE c STRICT;
COMMENT ON FUNCTION redoubt.token_support(internal) IS 'internal: planner support function; ties every token type to the extension';
REVOKE ALL ON FUNCTION redoubt.token_support(internal) FROM PUBLIC;

CREATE FUNCTION redoubt.status(OUT item text, OUT value text, OUT severity text) RETURNS SETOF record
  AS 'MODULE_PATHNAME', 'redoubt_status' LANGUAGE c STABLE;
COMMENT ON FUNCTION redoubt.status() IS 'whether this server is in working order: keys, audit trail, limits; severity is ok, warning or error, or info';
REVOKE ALL ON FUNCTION redoubt.status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.status() TO redoubt_admin, redoubt_auditor;

-- ------------------------------------------------------------------- keys

CREATE FUNCTION redoubt.create_key(name name) RETURNS integer
  AS 'MODULE_PATHNAME', 'redoubt_create_key' LANGUAGE c STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.create_key(name) IS 'makes a data key and returns its version, 1';
REVOKE ALL ON FUNCTION redoubt.create_key(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.create_key(name) TO redoubt_admin;

CREATE FUNCTION redoubt.rotate_key(name name) RETURNS integer
  AS 'MODULE_PATHNAME', 'redoubt_rotate_key' LANGUAGE c STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.rotate_key(name) IS 'makes the next version of a data key and returns it; new tokens use it, old ones stay valid and equal';
REVOKE ALL ON FUNCTION redoubt.rotate_key(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.rotate_key(name) TO redoubt_admin;

CREATE FUNCTION redoubt.rewrap_keys() RETURNS bigint
  AS 'MODULE_PATHNAME', 'redoubt_rewrap_keys' LANGUAGE c STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.rewrap_keys() IS 'wraps the data keys of this database by the server''s key-encryption key that another one wraps; returns how many';
REVOKE ALL ON FUNCTION redoubt.rewrap_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.rewrap_keys() TO redoubt_admin;

CREATE FUNCTION redoubt.verify_keys(OUT name text, OUT version integer, OUT kek_fingerprint text, OUT opens boolean, OUT problem text)
  RETURNS SETOF record AS 'MODULE_PATHNAME', 'redoubt_verify_keys' LANGUAGE c STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION redoubt.verify_keys() IS 'whether this server can open each version of each data key of this database, and why not';
REVOKE ALL ON FUNCTION redoubt.verify_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.verify_keys() TO redoubt_admin, redoubt_auditor;

CREATE FUNCTION redoubt.key_use(OUT table_name regclass, OUT column_name name, OUT key text, OUT version integer, OUT tokens bigint)
  RETURNS SETOF record AS 'MODULE_PATHNAME', 'redoubt_key_use' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.key_use() IS 'how many tokens of which version of which key each column of this database holds; reads the whole tables';
REVOKE ALL ON FUNCTION redoubt.key_use() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.key_use() TO redoubt_admin;

CREATE FUNCTION redoubt.retire_key(name name, version integer) RETURNS void
  AS 'MODULE_PATHNAME', 'redoubt_retire_key' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.retire_key(name, integer) IS 'ends the use of a version of a data key that no column and no row of the vault uses any more';
REVOKE ALL ON FUNCTION redoubt.retire_key(name, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.retire_key(name, integer) TO redoubt_admin;

CREATE FUNCTION redoubt.destroy_key(name name, confirm name DEFAULT NULL) RETURNS integer
  AS 'MODULE_PATHNAME', 'redoubt_destroy_key' LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.destroy_key(name, name) IS 'erases all versions of a data key, and with them the values of its tokens, for good; confirm is the name once more; returns how many versions';
REVOKE ALL ON FUNCTION redoubt.destroy_key(name, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.destroy_key(name, name) TO redoubt_admin;

-- ----------------------------------------------------------------- limits

CREATE TABLE redoubt.limit_rule (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    role regrole,
    token_type regtype,
    operation text NOT NULL CHECK (operation IN ('read', 'reveal', 'masked', 'tokenize', 'probe')),
    max_values bigint NOT NULL CHECK (max_values > 0),
    per interval CHECK (per > interval '0'
        AND extract(year FROM per) = 0 AND extract(month FROM per) = 0),
    burst bigint CHECK (burst > 0),
    on_excess text NOT NULL DEFAULT 'block' CHECK (on_excess IN ('log', 'throttle', 'degrade', 'block', 'suspend')),
    max_delay interval NOT NULL DEFAULT '10 s' CHECK (max_delay >= interval '0'
        AND extract(year FROM max_delay) = 0 AND extract(month FROM max_delay) = 0),
    shared boolean NOT NULL DEFAULT false,
    created_by regrole NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (role, token_type, operation, per),
    CHECK (per IS NOT NULL OR (burst IS NULL AND on_excess <> 'throttle'))
);
REVOKE ALL ON redoubt.limit_rule FROM PUBLIC;
COMMENT ON TABLE redoubt.limit_rule IS 'limits, written by set_limit() and drop_limit(); a null role or type means every one';
COMMENT ON COLUMN redoubt.limit_rule.per IS 'null: the window is one statement';
COMMENT ON SEQUENCE redoubt.limit_rule_id_seq IS 'ids of limits';

CREATE FUNCTION redoubt.set_limit(role regrole, token_type regtype, operation text, max_values bigint, per interval,
                          burst bigint DEFAULT NULL, on_excess text DEFAULT 'block',
                          max_delay interval DEFAULT '10 s', shared boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'redoubt_set_limit';
REVOKE ALL ON FUNCTION redoubt.set_limit(regrole, regtype, text, bigint, interval, bigint, text, interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.set_limit(regrole, regtype, text, bigint, interval, bigint, text, interval, boolean)
    TO redoubt_admin;
COMMENT ON FUNCTION redoubt.set_limit(regrole, regtype, text, bigint, interval, bigint, text, interval, boolean)
    IS 'limit a role, or every role, to max_values per interval; replaces the limit of the same role, type, operation and interval';

CREATE FUNCTION redoubt.set_limit(role regrole, token_type regtype, operation text, max_values bigint, per text,
                          burst bigint DEFAULT NULL, on_excess text DEFAULT 'block',
                          max_delay interval DEFAULT '10 s', shared boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'redoubt_set_limit_per';
REVOKE ALL ON FUNCTION redoubt.set_limit(regrole, regtype, text, bigint, text, bigint, text, interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.set_limit(regrole, regtype, text, bigint, text, bigint, text, interval, boolean)
    TO redoubt_admin;
COMMENT ON FUNCTION redoubt.set_limit(regrole, regtype, text, bigint, text, bigint, text, interval, boolean)
    IS 'limit a role, or every role, to max_values per statement or interval; replaces the limit of the same role, type, operation and window';

-- Sets of limits that go together.  One per statement, a quarter of the hour's or less, keeps a screen with too many rows from using
-- up the hour; one per day makes slow collecting slow.
CREATE VIEW redoubt.limit_presets AS
  SELECT v.preset, v.operation, v.max_values, v.per FROM (VALUES
    ('person', 'reveal', 50, 'statement'), ('person', 'reveal', 200, '1 hour'), ('person', 'reveal', 500, '1 day'),
    ('person', 'masked', 100, 'statement'), ('person', 'masked', 1000, '1 hour'), ('person', 'masked', 4000, '1 day'),
    ('person', 'read', 100, 'statement'), ('person', 'read', 1000, '1 hour'), ('person', 'read', 4000, '1 day'),
    ('person', 'probe', 100, 'statement'), ('person', 'probe', 500, '1 hour'), ('person', 'probe', 2000, '1 day'),
    ('person', 'tokenize', 50, 'statement'), ('person', 'tokenize', 200, '1 hour'), ('person', 'tokenize', 1000, '1 day'),
    ('application', 'reveal', 500, 'statement'), ('application', 'reveal', 10000, '1 hour'), ('application', 'reveal', 50000, '1 day'),
    ('application', 'masked', 1000, 'statement'), ('application', 'masked', 20000, '1 hour'), ('application', 'masked', 100000, '1 day'),
    ('application', 'read', 1000, 'statement'), ('application', 'read', 20000, '1 hour'), ('application', 'read', 100000, '1 day'),
    ('application', 'probe', 1000, 'statement'), ('application', 'probe', 20000, '1 hour'), ('application', 'probe', 100000, '1 day'),
    ('application', 'tokenize', 1000, 'statement'), ('application', 'tokenize', 20000, '1 hour'), ('application', 'tokenize', 100000, '1 day'))
    AS v(preset, operation, max_values, per);
COMMENT ON VIEW redoubt.limit_presets IS 'the limits that set_limits() sets: person is somebody at a screen, application many behind one login';
GRANT SELECT ON redoubt.limit_presets TO PUBLIC;
CREATE FUNCTION redoubt.set_limits(role regrole, token_type regtype, preset text) RETURNS bigint
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  item record;
  n bigint := 0;
BEGIN
  FOR item IN SELECT p.operation, p.max_values, p.per FROM redoubt.limit_presets AS p WHERE p.preset = set_limits.preset LOOP
    PERFORM redoubt.set_limit(role, token_type, item.operation, item.max_values, item.per);
    n := n + 1;
  END LOOP;
  IF n = 0 THEN
    RAISE EXCEPTION 'there is no such preset of limits' USING ERRCODE = '22023', HINT = 'redoubt.limit_presets lists them.';
  END IF;
  RETURN n;
END
$body$;
COMMENT ON FUNCTION redoubt.set_limits(regrole, regtype, text) IS 'sets the limits of a preset (redoubt.limit_presets) for a role, or every role, and returns how many';
REVOKE ALL ON FUNCTION redoubt.set_limits(regrole, regtype, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.set_limits(regrole, regtype, text) TO redoubt_admin;

CREATE FUNCTION redoubt.drop_limit(role regrole, token_type regtype, operation text, per interval DEFAULT NULL)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'redoubt_drop_limit';
REVOKE ALL ON FUNCTION redoubt.drop_limit(regrole, regtype, text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.drop_limit(regrole, regtype, text, interval) TO redoubt_admin;
COMMENT ON FUNCTION redoubt.drop_limit(regrole, regtype, text, interval)
    IS 'drop the limits of a role, type and operation, of one interval or of all; returns how many';

CREATE FUNCTION redoubt.drop_limit(role regrole, token_type regtype, operation text, per text)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'redoubt_drop_limit_per';
REVOKE ALL ON FUNCTION redoubt.drop_limit(regrole, regtype, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.drop_limit(regrole, regtype, text, text) TO redoubt_admin;
COMMENT ON FUNCTION redoubt.drop_limit(regrole, regtype, text, text)
    IS 'drop the limits of a role, type and operation, per statement, of one interval or of all; returns how many';

CREATE FUNCTION redoubt.lift_suspension(role regrole) RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT
    AS 'MODULE_PATHNAME', 'redoubt_lift_suspension';
REVOKE ALL ON FUNCTION redoubt.lift_suspension(regrole) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.lift_suspension(regrole) TO redoubt_admin;
COMMENT ON FUNCTION redoubt.lift_suspension(regrole)
    IS 'end the suspensions of a login role, or of all, in this database; returns how many; their buckets begin full';

CREATE FUNCTION redoubt.limit_standing(role regrole, token_type regtype, operation text, OUT id bigint, OUT strictest boolean,
                              OUT reason text, OUT remaining bigint, OUT next_allowed timestamptz,
                              OUT suspended_since timestamptz)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED CALLED ON NULL INPUT
    AS 'MODULE_PATHNAME', 'redoubt_limit_standing';
COMMENT ON FUNCTION redoubt.limit_standing(regrole, regtype, text)
    IS 'internal: how each limit that applies stands; the session''s own, or any role''s for redoubt_admin and redoubt_auditor';

-- Only the planner hook can call these: their last argument is of the type internal, of which SQL has no value.  They are
-- executable by everybody because the executor asks that of whoever runs a plan that they are in.
CREATE FUNCTION redoubt.meter(value anyelement, what internal) RETURNS anyelement
    LANGUAGE c VOLATILE PARALLEL SAFE CALLED ON NULL INPUT
    AS 'MODULE_PATHNAME', 'redoubt_meter';
COMMENT ON FUNCTION redoubt.meter(anyelement, internal)
    IS 'internal: charges for a value inside a plan and returns it; put into plans by the planner hook, cannot be called';

CREATE FUNCTION redoubt.opened(token anynonarray, what internal) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 2 AS 'MODULE_PATHNAME', 'redoubt_opened';
COMMENT ON FUNCTION redoubt.opened(anynonarray, internal)
    IS 'internal: the value of a token inside a plan that is metered; takes the place of open_value() there, cannot be called';

CREATE FUNCTION redoubt.sought_fingerprint(value text, what internal) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_sought_fingerprint';
COMMENT ON FUNCTION redoubt.sought_fingerprint(text, internal)
    IS 'internal: what an index on lower_fingerprint() or upper_fingerprint() is asked for; put into plans by the planner hook, cannot be called';
CREATE FUNCTION redoubt.sought_trigrams(pattern text, what internal) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_sought_trigrams';
COMMENT ON FUNCTION redoubt.sought_trigrams(text, internal)
    IS 'internal: what a GIN index on a token column is asked for; put into plans by the planner hook, cannot be called';

-- What indexes over token columns hold.  Everybody may call it, because who writes a row does; it tells which values are equal.
CREATE FUNCTION redoubt.lower_fingerprint(token anynonarray) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'redoubt_lower_fingerprint';
COMMENT ON FUNCTION redoubt.lower_fingerprint(anynonarray)
    IS 'keyed fingerprint of a token''s value in lower case, 16 bytes: an index on it serves lower(column) = ...';
CREATE FUNCTION redoubt.upper_fingerprint(token anynonarray) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'redoubt_upper_fingerprint';
COMMENT ON FUNCTION redoubt.upper_fingerprint(anynonarray)
    IS 'keyed fingerprint of a token''s value in upper case, 16 bytes: an index on it serves upper(column) = ...';

-- GIN over trigrams: support functions cannot be called by hand, and the operator means nothing without the index.
CREATE FUNCTION redoubt.may_match(token anynonarray, trigrams bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_may_match';
COMMENT ON FUNCTION redoubt.may_match(anynonarray, bytea)
    IS 'internal: true; a GIN index on the column leaves out rows without the trigrams';
CREATE OPERATOR redoubt.@~ (LEFTARG = anynonarray, RIGHTARG = bytea, FUNCTION = redoubt.may_match,
                            RESTRICT = contsel, JOIN = contjoinsel);
COMMENT ON OPERATOR redoubt.@~ (anynonarray, bytea) IS 'internal: how a GIN index on a token column is asked';
CREATE FUNCTION redoubt.trigrams_of_query(internal, internal, smallint, internal, internal, internal, internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_trigrams_of_query';
COMMENT ON FUNCTION redoubt.trigrams_of_query(internal, internal, smallint, internal, internal, internal, internal)
    IS 'internal: GIN support of token types';
CREATE FUNCTION redoubt.trigrams_consistent(internal, smallint, internal, integer, internal, internal, internal) RETURNS "char"
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_trigrams_consistent';
COMMENT ON FUNCTION redoubt.trigrams_consistent(internal, smallint, internal, integer, internal, internal, internal)
    IS 'internal: GIN support of token types';

-- A btree in the order of values, see token_order.h.  The operators mean something to such an index only, and have an
-- argument of the type internal: the planner hook alone can ask for them.
CREATE FUNCTION redoubt.by_value(token anynonarray, what internal) RETURNS anynonarray
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_by_value';
COMMENT ON FUNCTION redoubt.by_value(anynonarray, internal)
    IS 'internal: stands for the column of an index in the order of values; put into plans by the planner hook, cannot be called';
CREATE FUNCTION redoubt.sought_value(value anynonarray, what internal) RETURNS bytea
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_sought_value';
COMMENT ON FUNCTION redoubt.sought_value(anynonarray, internal)
    IS 'internal: what an index in the order of values is asked for; put into plans by the planner hook, cannot be called';
CREATE FUNCTION redoubt.pending_made(value anyelement, what internal) RETURNS anyelement
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'redoubt_pending_made';
COMMENT ON FUNCTION redoubt.pending_made(anyelement, internal)
    IS 'internal: makes the token of a literal of a vaulted type; put into plans by the planner hook, cannot be called';
CREATE FUNCTION redoubt.pending_sought(value anyelement, what internal) RETURNS anyelement
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'redoubt_pending_sought';
COMMENT ON FUNCTION redoubt.pending_sought(anyelement, internal)
    IS 'internal: finds the token of a literal of a vaulted type; put into plans by the planner hook, cannot be called';
CREATE FUNCTION redoubt.value_cmp(token anynonarray, sought internal) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_value_cmp_sought';
COMMENT ON FUNCTION redoubt.value_cmp(anynonarray, internal) IS 'internal: btree comparison of a token''s value with one that is sought';
CREATE FUNCTION redoubt.value_options(internal) RETURNS void
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_value_options';
COMMENT ON FUNCTION redoubt.value_options(internal) IS 'internal: btree support of token types';
CREATE FUNCTION redoubt.value_lt(token anynonarray, sought internal) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_value_lt';
CREATE FUNCTION redoubt.value_le(token anynonarray, sought internal) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_value_le';
CREATE FUNCTION redoubt.value_ge(token anynonarray, sought internal) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_value_ge';
CREATE FUNCTION redoubt.value_gt(token anynonarray, sought internal) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'redoubt_value_gt';
CREATE OPERATOR redoubt.#<# (LEFTARG = anynonarray, RIGHTARG = internal, FUNCTION = redoubt.value_lt, RESTRICT = scalarltsel);
CREATE OPERATOR redoubt.#<=# (LEFTARG = anynonarray, RIGHTARG = internal, FUNCTION = redoubt.value_le, RESTRICT = scalarlesel);
CREATE OPERATOR redoubt.#>=# (LEFTARG = anynonarray, RIGHTARG = internal, FUNCTION = redoubt.value_ge, RESTRICT = scalargesel);
CREATE OPERATOR redoubt.#># (LEFTARG = anynonarray, RIGHTARG = internal, FUNCTION = redoubt.value_gt, RESTRICT = scalargtsel);
COMMENT ON FUNCTION redoubt.value_lt(anynonarray, internal) IS 'internal: how an index in the order of values is asked';
COMMENT ON FUNCTION redoubt.value_le(anynonarray, internal) IS 'internal: how an index in the order of values is asked';
COMMENT ON FUNCTION redoubt.value_ge(anynonarray, internal) IS 'internal: how an index in the order of values is asked';
COMMENT ON FUNCTION redoubt.value_gt(anynonarray, internal) IS 'internal: how an index in the order of values is asked';
COMMENT ON OPERATOR redoubt.#<# (anynonarray, internal) IS 'internal: how an index in the order of values is asked';
COMMENT ON OPERATOR redoubt.#<=# (anynonarray, internal) IS 'internal: how an index in the order of values is asked';
COMMENT ON OPERATOR redoubt.#>=# (anynonarray, internal) IS 'internal: how an index in the order of values is asked';
COMMENT ON OPERATOR redoubt.#># (anynonarray, internal) IS 'internal: how an index in the order of values is asked';

CREATE FUNCTION redoubt.meter_statistics("values" anyelement, object oid, attnum smallint, what internal) RETURNS anyelement
    LANGUAGE c STABLE PARALLEL SAFE CALLED ON NULL INPUT
    AS 'MODULE_PATHNAME', 'redoubt_meter_statistics';
COMMENT ON FUNCTION redoubt.meter_statistics(anyelement, oid, smallint, internal)
    IS 'internal: charges for values in planner statistics and returns them; put into queries by the planner hook, cannot be called';

CREATE FUNCTION redoubt.reset_usage(role regrole DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT
    AS 'MODULE_PATHNAME', 'redoubt_reset_usage';
REVOKE ALL ON FUNCTION redoubt.reset_usage(regrole) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.reset_usage(regrole) TO redoubt_admin;
COMMENT ON FUNCTION redoubt.reset_usage(regrole) IS 'set usage counters of a role, or of all, to zero; budgets are not touched';

CREATE FUNCTION redoubt.usage_entries(OUT role regrole, OUT token_type regtype, OUT operation text, OUT charged bigint,
                              OUT remaining bigint, OUT next_allowed timestamptz, OUT delayed_ms bigint,
                              OUT blocked boolean, OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'redoubt_usage_entries';
COMMENT ON FUNCTION redoubt.usage_entries() IS 'the rows of the view usage that the session may see';

CREATE VIEW redoubt.usage AS
    SELECT role, token_type, operation, charged, remaining, next_allowed, delayed_ms, blocked, since,
           pg_get_userbyid(role) AS role_name
    FROM redoubt.usage_entries();
GRANT SELECT ON redoubt.usage TO PUBLIC;
COMMENT ON VIEW redoubt.usage IS 'values charged since reset_usage() and what the limits leave; one''s own, or all for redoubt_admin and redoubt_auditor';

CREATE VIEW redoubt.limits WITH (security_barrier) AS
    SELECT r.id, r.role, r.token_type, r.operation, r.max_values, r.per,
           CASE WHEN r.per IS NOT NULL THEN coalesce(r.burst, r.max_values) END AS burst,
           r.on_excess, r.max_delay, r.shared, r.created_by, r.created_at,
           CASE WHEN r.role IS NOT NULL THEN pg_get_userbyid(r.role) END AS role_name
    FROM redoubt.limit_rule AS r
    WHERE r.role IS NULL
       OR pg_has_role(session_user, r.role::oid, 'MEMBER')
       OR EXISTS (SELECT FROM pg_roles AS a
                  WHERE a.rolname IN ('redoubt_admin', 'redoubt_auditor') AND pg_has_role(current_user, a.oid, 'USAGE'));
GRANT SELECT ON redoubt.limits TO PUBLIC;
COMMENT ON COLUMN redoubt.limits.per IS 'null: one statement';
COMMENT ON VIEW redoubt.limits IS 'the limits that apply to the session''s login role, or all for redoubt_admin and redoubt_auditor';

CREATE FUNCTION redoubt.explain_limit(role regrole, token_type regtype, operation text)
    RETURNS TABLE (id bigint, strictest boolean, reason text, via text, limit_role regrole, limit_type regtype,
                   limit_operation text, max_values bigint, per interval, burst bigint, on_excess text, shared boolean,
                   remaining bigint, next_allowed timestamptz, suspended_since timestamptz)
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
      WITH RECURSIVE path (role, names) AS (
          SELECT explain_limit.role::oid, ARRAY[pg_get_userbyid(explain_limit.role)]
          UNION ALL
          SELECT m.roleid, p.names || pg_get_userbyid(m.roleid)
            FROM path AS p JOIN pg_auth_members AS m ON m.member = p.role
           WHERE pg_get_userbyid(m.roleid) <> ALL (p.names))
      SELECT s.id, s.strictest, s.reason,
             CASE WHEN l.role IS NULL THEN 'every role'
                  ELSE (SELECT array_to_string(p.names, ' > ') FROM path AS p WHERE p.role = l.role::oid
                         ORDER BY cardinality(p.names), p.names LIMIT 1) END,
             l.role, l.token_type, l.operation, l.max_values, l.per, l.burst, l.on_excess, l.shared,
             s.remaining, s.next_allowed, s.suspended_since
        FROM redoubt.limit_standing(explain_limit.role, explain_limit.token_type, explain_limit.operation) AS s
        JOIN redoubt.limits AS l ON l.id = s.id
       ORDER BY s.strictest DESC, s.id;
    END;
COMMENT ON FUNCTION redoubt.explain_limit(regrole, regtype, text)
    IS 'every limit that applies to a login role, through which membership, how it stands, and which is the strictest; one''s own, or any role''s for redoubt_admin and redoubt_auditor';

CREATE FUNCTION redoubt.check_label("table" regclass)
    RETURNS TABLE (relation regclass, object text, kind text, function regprocedure, statement text)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'redoubt_check_label';
COMMENT ON FUNCTION redoubt.check_label(regclass)
    IS 'what would hand columns of a table to functions that are not trusted, and the statement that vouches for each';

CREATE FUNCTION redoubt.sleepers(OUT pid integer, OUT role regrole, OUT token_type regtype, OUT operation text,
                         OUT "limit" bigint, OUT since timestamptz, OUT until timestamptz)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'redoubt_sleepers';
COMMENT ON FUNCTION redoubt.sleepers() IS 'the rows of the view activity that the session may see';

CREATE VIEW redoubt.activity AS
    SELECT pid, role, token_type, operation, "limit", since, until, pg_get_userbyid(role) AS role_name FROM redoubt.sleepers();
GRANT SELECT ON redoubt.activity TO PUBLIC;
COMMENT ON VIEW redoubt.activity IS 'sessions held back by a throttle right now; one''s own, or all for redoubt_admin and redoubt_auditor';

CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON redoubt.limit_rule
    FOR EACH STATEMENT EXECUTE FUNCTION redoubt.policy_changed();
ALTER TABLE redoubt.limit_rule ENABLE ALWAYS TRIGGER policy_changed;

-- ----------------------------------------------------- who may write all these

-- Triggers of rows as well, because the apply worker of a subscription fires no others; enabled always, because it runs
-- as a replica.
DO $guards$
DECLARE
  own text;
BEGIN
  FOREACH own IN ARRAY ARRAY['token_type', 'key', 'limit_rule', 'vault', 'protection'] LOOP
    EXECUTE pg_catalog.format('CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON redoubt.%I '
                              'FOR EACH STATEMENT EXECUTE FUNCTION redoubt.guard_own_table()', own);
    EXECUTE pg_catalog.format('CREATE TRIGGER guard_row BEFORE INSERT OR UPDATE OR DELETE ON redoubt.%I '
                              'FOR EACH ROW EXECUTE FUNCTION redoubt.guard_own_table()', own);
    EXECUTE pg_catalog.format('ALTER TABLE redoubt.%I ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER guard_row', own);
  END LOOP;
END
$guards$;

-- ------------------------------------------------------------------ audit

-- A foreign table, so that conditions on segment, sequence and time decide what is read.
CREATE FUNCTION redoubt.audit_handler() RETURNS fdw_handler
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'redoubt_audit_handler';
COMMENT ON FUNCTION redoubt.audit_handler() IS 'internal: the audit trail as a foreign table';
REVOKE ALL ON FUNCTION redoubt.audit_handler() FROM PUBLIC;
CREATE FOREIGN DATA WRAPPER redoubt_audit HANDLER redoubt.audit_handler;
COMMENT ON FOREIGN DATA WRAPPER redoubt_audit IS 'internal: for redoubt.audit_line';
CREATE SERVER redoubt_audit FOREIGN DATA WRAPPER redoubt_audit;
COMMENT ON SERVER redoubt_audit IS 'internal: for redoubt.audit_line';
CREATE FOREIGN TABLE redoubt.audit_line (segment bigint, line integer, sequence bigint, "time" timestamptz, header boolean,
    record jsonb) SERVER redoubt_audit;
COMMENT ON FOREIGN TABLE redoubt.audit_line IS
  'every line of the audit trail as it is on file; record is null where the line is damaged; for redoubt_auditor';
REVOKE ALL ON redoubt.audit_line FROM PUBLIC;
GRANT SELECT ON redoubt.audit_line TO redoubt_auditor;

CREATE FUNCTION redoubt.audit_records(OUT segment bigint, OUT line integer, OUT record jsonb)
  RETURNS SETOF record LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE
  BEGIN ATOMIC SELECT l.segment, l.line, l.record FROM redoubt.audit_line AS l; END;
COMMENT ON FUNCTION redoubt.audit_records() IS
  'every line of the audit trail as it is on file; record is null where the line is damaged; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.audit_records() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.audit_records() TO redoubt_auditor;

-- Numbers are converted only where they look like numbers: a doctored line must not hide the others.
CREATE VIEW redoubt.audit AS
  SELECT a.segment,
         a.line,
         a.sequence,
         a."time",
         a.record #>> '{unmapped,event}' AS event,
         a.record #>> '{unmapped,outcome}' AS outcome,
         a.record #>> '{actor,user,name}' AS session_user_name,
         a.record #>> '{unmapped,current_user}' AS current_user_name,
         a.record #>> '{database,name}' AS database,
         a.record #>> '{src_endpoint,ip}' AS client_addr,
         a.record #>> '{unmapped,application_name}' AS application_name,
         a.record #>> '{unmapped,operation}' AS operation,
         a.record #>> '{unmapped,token_type}' AS token_type,
         CASE WHEN a.record #>> '{unmapped,count}' ~ '^[0-9]{1,18}$'
              THEN (a.record #>> '{unmapped,count}')::bigint END AS count,
         a.record #>> '{unmapped,query_id}' AS query_id,
         a.record #>> '{unmapped,detail}' AS detail,
         a.record
    FROM redoubt.audit_line AS a
   WHERE NOT a.header;  -- segment headers are not events
COMMENT ON VIEW redoubt.audit IS
  'the audit trail, one row per event, readable by members of redoubt_auditor; columns are null where a line is damaged';
REVOKE ALL ON redoubt.audit FROM PUBLIC;
GRANT SELECT ON redoubt.audit TO redoubt_auditor;

CREATE FUNCTION redoubt.verify_audit(OUT ok boolean, OUT segments integer, OUT records bigint,
                                     OUT broken_segment text, OUT broken_line integer, OUT problem text)
  RETURNS record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'redoubt_verify_audit';
COMMENT ON FUNCTION redoubt.verify_audit() IS
  'recomputes the chain of the audit trail and names the first broken record; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.verify_audit() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.verify_audit() TO redoubt_auditor;

-- ------------------------------------------------------------- token types

CREATE FUNCTION redoubt.check_policy("normalize" text, mask text, pattern text) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_check_policy' LANGUAGE c STABLE;
COMMENT ON FUNCTION redoubt.check_policy(text, text, text) IS
  'internal: raises 22023 unless the parameters of a token type are usable; the normaliser as the type keeps it, with its table';
REVOKE ALL ON FUNCTION redoubt.check_policy(text, text, text) FROM PUBLIC;

CREATE FUNCTION redoubt.add_type(policy redoubt.token_type) RETURNS void
  AS 'MODULE_PATHNAME', 'redoubt_add_type' LANGUAGE c STRICT;
COMMENT ON FUNCTION redoubt.add_type(redoubt.token_type) IS 'internal: stores the policy of a new token type, and records that';
REVOKE ALL ON FUNCTION redoubt.add_type(redoubt.token_type) FROM PUBLIC;

CREATE FUNCTION redoubt.remove_type(typ regtype) RETURNS void
  AS 'MODULE_PATHNAME', 'redoubt_remove_type' LANGUAGE c STRICT;
COMMENT ON FUNCTION redoubt.remove_type(regtype) IS 'internal: deletes the policy of a token type and its dead values in the vault, and records that';
REVOKE ALL ON FUNCTION redoubt.remove_type(regtype) FROM PUBLIC;

/* close_gate takes the privilege on a new type's gate functions from everybody.
 *
 * t is the type's quoted, qualified name, which its tokenizing function shares.
 */
CREATE FUNCTION redoubt.close_gate(t text, base text) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  what constant text := format('token type %s', t);
  item record;
BEGIN
  EXECUTE format('REVOKE ALL ON FUNCTION %s(%s), redoubt.detokenize(%s), redoubt.mask(%s) FROM PUBLIC, CURRENT_USER',
                 t, base, t, t);
  IF to_regprocedure(format('redoubt.search(%s)', t)) IS NOT NULL THEN
    EXECUTE format('REVOKE ALL ON FUNCTION redoubt.search(%s) FROM PUBLIC, CURRENT_USER', t);
    EXECUTE format('COMMENT ON FUNCTION redoubt.search(%s) IS %L', t, 'the value inside the server; EXECUTE is the privilege to search by values of ' || what);
  END IF;
  -- Nor whoever ALTER DEFAULT PRIVILEGES names.
  FOR item IN SELECT DISTINCT p.oid::regprocedure AS gate, a.grantee::regrole AS grantee
              FROM pg_proc AS p, aclexplode(p.proacl) AS a
              WHERE p.oid IN (format('%s(%s)', t, base)::regprocedure, format('redoubt.detokenize(%s)', t)::regprocedure,
                              format('redoubt.mask(%s)', t)::regprocedure, to_regprocedure(format('redoubt.search(%s)', t))) LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', item.gate, item.grantee);
  END LOOP;
  EXECUTE format('COMMENT ON FUNCTION %s(%s) IS %L', t, base, 'tokenizes; EXECUTE is the privilege to tokenize values of ' || what);
  EXECUTE format('COMMENT ON FUNCTION redoubt.detokenize(%s) IS %L', t, 'plaintext; EXECUTE is the privilege to reveal values of ' || what);
  EXECUTE format('COMMENT ON FUNCTION redoubt.mask(%s) IS %L', t, 'masked form; EXECUTE is the privilege to reveal values of ' || what || ' masked');
END
$body$;
COMMENT ON FUNCTION redoubt.close_gate(text, text) IS
  'internal: revokes EXECUTE on a new token type''s tokenizing function, detokenize and mask from everybody, and comments them';
REVOKE ALL ON FUNCTION redoubt.close_gate(text, text) FROM PUBLIC;

/* build_find makes the function that finds the token of a value, without making one; it takes the privilege to tokenize.
 *
 * f is the quoted schema and a dot, n the type's name, t the type's quoted, qualified name.
 */
CREATE FUNCTION redoubt.build_find(f text, n text, t text, base text) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  EXECUTE format('CREATE FUNCTION %s%I(%s) RETURNS %s AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10',
                 f, n || '_find', base, t, '$libdir/redoubt', 'redoubt_vault_find');
  EXECUTE format('COMMENT ON FUNCTION %s%I(%s) IS %L', f, n || '_find', base,
                 'the token of a value, null where it has none, if the role may execute ' || t || '(' || base || ')');
END
$body$;
COMMENT ON FUNCTION redoubt.build_find(text, text, text, text) IS 'internal: makes the function <type>_find of a consistent vaulted type';
REVOKE ALL ON FUNCTION redoubt.build_find(text, text, text, text) FROM PUBLIC;

/* build_row_equality tells PostgreSQL that `=` of a type and what it replaced is an equality, as it has to know to compare rows.
 *
 * An operator family without a class: no index is made by it.
 */
CREATE FUNCTION redoubt.build_row_equality(f text, n text, t text, operator_schema text, others text[]) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  other text;
BEGIN
  EXECUTE format('CREATE OPERATOR FAMILY %s%I USING btree', f, n || '_row_ops');
  EXECUTE format('COMMENT ON OPERATOR FAMILY %s%I USING btree IS %L', f, n || '_row_ops', format('equality of token type %s and values, in rows', t));
  FOREACH other IN ARRAY others LOOP
    EXECUTE format('ALTER OPERATOR FAMILY %1$s%2$I USING btree ADD OPERATOR 3 %3$I.= (%4$s, %5$s), OPERATOR 3 %3$I.= (%5$s, %4$s)',
                   f, n || '_row_ops', operator_schema, t, other);
  END LOOP;
END
$body$;
COMMENT ON FUNCTION redoubt.build_row_equality(text, text, text, text, text[]) IS
  'internal: makes the operator family by which rows of a token type and of values are compared';
REVOKE ALL ON FUNCTION redoubt.build_row_equality(text, text, text, text, text[]) FROM PUBLIC;

/* An array of tokens beside one of texts.  PostgreSQL casts each side by itself, and the planner compares tokens
 * (src/pg/plan/by_token.h).  Where no query is planned, PostgreSQL refuses arrays of two types: 42804.
 */
DO $arrays$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT * FROM (VALUES ('token_array', 'tokens'), ('text_array', 'texts')) AS v(name, what) LOOP
    EXECUTE format('CREATE TYPE redoubt.%I', item.name);
    EXECUTE format('CREATE FUNCTION redoubt.%I(cstring) RETURNS redoubt.%I AS %L LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE', item.name || '_in', item.name, 'any_in');
    EXECUTE format('CREATE FUNCTION redoubt.%I(redoubt.%I) RETURNS cstring AS %L LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE', item.name || '_out', item.name, 'any_out');
    EXECUTE format('CREATE TYPE redoubt.%I (INPUT = redoubt.%I, OUTPUT = redoubt.%I, INTERNALLENGTH = VARIABLE, ALIGNMENT = double)', item.name, item.name || '_in', item.name || '_out');
    EXECUTE format('REVOKE USAGE ON TYPE redoubt.%I FROM PUBLIC', item.name);
    EXECUTE format('CREATE FUNCTION redoubt.%I(anyarray) RETURNS redoubt.%I AS %L, %L LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE', 'as_' || item.name, item.name, '$libdir/redoubt', 'redoubt_same_array');
    EXECUTE format('COMMENT ON TYPE redoubt.%I IS %L', item.name, 'internal: an array of ' || item.what || ' in a comparison');
    EXECUTE format('COMMENT ON FUNCTION redoubt.%I(cstring) IS %L', item.name || '_in', 'internal: refuses, there is no such literal');
    EXECUTE format('COMMENT ON FUNCTION redoubt.%I(redoubt.%I) IS %L', item.name || '_out', item.name, 'internal: refuses, it is shown to nobody');
    EXECUTE format('COMMENT ON FUNCTION redoubt.%I(anyarray) IS %L', 'as_' || item.name, 'internal: the cast of an array of ' || item.what || ' that is compared');
  END LOOP;
  FOR item IN SELECT * FROM (VALUES ('text'), ('varchar'), ('bpchar')) AS v(base) LOOP
    EXECUTE format('CREATE CAST (%s[] AS redoubt.text_array) WITH FUNCTION redoubt.as_text_array(anyarray) AS IMPLICIT', item.base);
    EXECUTE format('COMMENT ON CAST (%s[] AS redoubt.text_array) IS %L', item.base, 'to be compared with an array of tokens');
  END LOOP;
  FOR item IN SELECT o.*, v.* FROM (VALUES ('=', 'eq', 'array_eq', '=', '<>', 'equal'), ('<>', 'ne', 'array_ne', '<>', '=', 'not equal'),
                                           ('@>', 'contains', 'arraycontains', '<@', NULL, 'contains'),
                                           ('<@', 'contained', 'arraycontained', '@>', NULL, 'is contained by'),
                                           ('&&', 'overlaps', 'arrayoverlap', '&&', NULL, 'overlaps')) AS o(op, name, code, commutator, negator, meaning),
                                   (VALUES ('redoubt.token_array', 'redoubt.text_array'), ('redoubt.text_array', 'redoubt.token_array')) AS v(l, r) LOOP
    EXECUTE format('CREATE FUNCTION redoubt.%I(%s, %s) RETURNS boolean AS %L LANGUAGE internal STABLE STRICT PARALLEL SAFE', 'array_' || item.name, item.l, item.r, item.code);
    EXECUTE format('CREATE OPERATOR pg_catalog.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = redoubt.%I, COMMUTATOR = OPERATOR(pg_catalog.%s)%s)',
                   item.op, item.l, item.r, 'array_' || item.name, item.commutator, ', NEGATOR = OPERATOR(pg_catalog.' || item.negator || ')');
    EXECUTE format('COMMENT ON FUNCTION redoubt.%I(%s, %s) IS %L', 'array_' || item.name, item.l, item.r, 'internal: an operator, which the planner replaces');
    EXECUTE format('COMMENT ON OPERATOR pg_catalog.%s (%s, %s) IS %L', item.op, item.l, item.r, item.meaning || ', of tokens and texts');
  END LOOP;
END
$arrays$;

/* build_array_forms makes the functions that take a whole array of one type's values or tokens.
 *
 * Anybody may call them: inside, they ask for EXECUTE on the type's function for
 * single values, so that one GRANT, and one REVOKE, is all there is.
 */
CREATE FUNCTION redoubt.build_array_forms(t text, base text, volatility text) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  lib constant text := '$libdir/redoubt';
BEGIN
  EXECUTE format('CREATE FUNCTION %1$s(%2$s[]) RETURNS %1$s[] AS %3$L, %4$L LANGUAGE c %5$s COST 100',
                 t, base, lib, 'redoubt_tokenize_array', volatility);
  EXECUTE format('CREATE FUNCTION redoubt.detokenize(%s[]) RETURNS %s[] AS %L, %L LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100',
                 t, base, lib, 'redoubt_detokenize_array');
  EXECUTE format('CREATE FUNCTION redoubt.mask(%s[]) RETURNS text[] AS %L, %L LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100',
                 t, lib, 'redoubt_mask_array');
  EXECUTE format('COMMENT ON FUNCTION %1$s(%2$s[]) IS %3$L', t, base, format('tokenizes each element, if the role may execute %s(%s)', t, base));
  EXECUTE format('COMMENT ON FUNCTION redoubt.detokenize(%s[]) IS %L', t, format('plaintext of each element, if the role may execute redoubt.detokenize(%s)', t));
  EXECUTE format('COMMENT ON FUNCTION redoubt.mask(%s[]) IS %L', t, format('masked form of each element, if the role may execute redoubt.mask(%s)', t));
  IF base = 'text' THEN
    EXECUTE format('CREATE CAST (%s[] AS redoubt.token_array) WITH FUNCTION redoubt.as_token_array(anyarray) AS IMPLICIT', t);
    EXECUTE format('COMMENT ON CAST (%s[] AS redoubt.token_array) IS %L', t, 'to be compared with an array of texts');
  END IF;
END
$body$;
COMMENT ON FUNCTION redoubt.build_array_forms(text, text, text) IS
  'internal: makes the functions of a token type that take arrays';
REVOKE ALL ON FUNCTION redoubt.build_array_forms(text, text, text) FROM PUBLIC;

/* build_token_type makes the whole family of objects of one token type.
 *
 * The operators of the types that ship go to pg_catalog, so that an
 * application's unqualified `=` finds them under any search_path; those of other
 * types stay beside the type, because pg_dump does not dump pg_catalog.
 */
CREATE FUNCTION redoubt.build_token_type(type_schema text, type_name text, operator_schema text, base text,
    pattern text, "normalize" text, mask text, deterministic boolean, key name, class_id uuid, shipped boolean,
    method text DEFAULT 'sealed', ttl interval DEFAULT NULL, invalid text DEFAULT 'keep')
  RETURNS regtype LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  SET client_min_messages = warning  -- no notice that the type is a shell still
AS $body$
DECLARE
  lib constant text := '$libdir/redoubt';
  t constant text := format('%I.%I', type_schema, type_name);           -- the type
  f constant text := format('%I.', type_schema);                        -- prefix of its support functions
  -- A name has 63 bytes at most; the longest suffix is "_hash_extended".
  n constant text := type_name;
  -- A vaulted type writes when it tokenizes: never at parse time, in a search or in a worker.
  vaulted constant boolean := method = 'vault';
  cast_volatility constant text := CASE WHEN vaulted THEN 'VOLATILE STRICT PARALLEL UNSAFE' WHEN deterministic THEN 'STABLE STRICT PARALLEL SAFE'
                                        ELSE 'VOLATILE STRICT PARALLEL SAFE' END;
  -- Sealed text behaves like text: its value is what an operator or function of text is given.
  opens constant boolean := method = 'sealed' AND base = 'text';
  -- What a text is compared by: the token that it has in the vault.
  sought constant text := format('%I.%I', type_schema, type_name || '_sought');
  cast_context constant text := CASE WHEN vaulted OR opens THEN 'ASSIGNMENT' ELSE 'IMPLICIT' END;
  kind constant text := CASE WHEN vaulted AND deterministic THEN 'consistent vaulted' WHEN vaulted THEN 'vaulted'
                             WHEN deterministic THEN 'deterministic' ELSE 'randomised' END;
  what constant text := format('token type %s', t);
  item record;
BEGIN
  "normalize" := redoubt.check_policy("normalize", mask, pattern);
  IF base NOT IN ('text', 'bytea') THEN
    RAISE EXCEPTION 'invalid base for a token type' USING ERRCODE = '22023', HINT = 'Use text or bytea.';
  END IF;
  IF base = 'bytea' AND (pattern IS NOT NULL OR "normalize" <> 'none' OR mask <> 'full') THEN
    RAISE EXCEPTION 'a token type of base bytea takes neither pattern, normalize nor mask' USING ERRCODE = '22023';
  END IF;
  IF length(n::bytea) > 48 THEN
    RAISE EXCEPTION 'the name of a token type has at most 48 bytes' USING ERRCODE = '42622';
  END IF;

  EXECUTE format('CREATE TYPE %s', t);

  -- Input and output.
  EXECUTE format('CREATE FUNCTION %s%I(cstring, oid, integer) RETURNS %s AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT redoubt.token_support',
                 f, n || '_in', t, lib, 'redoubt_token_in');
  EXECUTE format('CREATE FUNCTION %s%I(internal, oid, integer) RETURNS %s AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE',
                 f, n || '_recv', t, lib, 'redoubt_token_recv');
  EXECUTE format('CREATE FUNCTION %s%I(%s) RETURNS cstring AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE',
                 f, n || '_out', t, lib, 'redoubt_token_out');
  EXECUTE format('CREATE FUNCTION %s%I(%s) RETURNS bytea AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE',
                 f, n || '_send', t, lib, 'redoubt_token_send');
  EXECUTE format('CREATE TYPE %s (INPUT = %s%I, OUTPUT = %s%I, RECEIVE = %s%I, SEND = %s%I, INTERNALLENGTH = VARIABLE, ALIGNMENT = int4, STORAGE = external, CATEGORY = %L)',
                 t, f, n || '_in', f, n || '_out', f, n || '_recv', f, n || '_send', CASE WHEN opens THEN 'S' ELSE 'U' END);
  EXECUTE format('COMMENT ON TYPE %s IS %L', t, 'redoubt ' || kind || ' token type');
  EXECUTE format('COMMENT ON FUNCTION %s%I(cstring, oid, integer) IS %L', f, n || '_in', 'input of ' || what);
  EXECUTE format('COMMENT ON FUNCTION %s%I(internal, oid, integer) IS %L', f, n || '_recv', 'binary input of ' || what);
  EXECUTE format('COMMENT ON FUNCTION %s%I(%s) IS %L', f, n || '_out', t, 'output of ' || what);
  EXECUTE format('COMMENT ON FUNCTION %s%I(%s) IS %L', f, n || '_send', t, 'binary output of ' || what);

  -- The gate: EXECUTE on these three is the privilege, and nobody has it yet.
  EXECUTE format('CREATE FUNCTION %s(%s) RETURNS %s AS %L, %L LANGUAGE c %s COST 10',
                 t, base, t, lib, CASE base WHEN 'bytea' THEN 'redoubt_tokenize_bytes' ELSE 'redoubt_tokenize_text' END, cast_volatility);
  EXECUTE format('CREATE FUNCTION redoubt.detokenize(%s) RETURNS %s AS %L, %L LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 10',
                 t, base, lib, 'redoubt_detokenize');
  EXECUTE format('CREATE FUNCTION redoubt.mask(%s) RETURNS text AS %L, %L LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 10',
                 t, lib, 'redoubt_mask');
  IF opens THEN
    EXECUTE format('CREATE FUNCTION redoubt.search(%s) RETURNS text AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE COST 2',
                   t, lib, 'redoubt_search');
    EXECUTE format('CREATE FUNCTION redoubt.open_value(%s) RETURNS text AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE COST 2',
                   t, lib, 'redoubt_open_value');
    EXECUTE format('COMMENT ON FUNCTION redoubt.open_value(%s) IS %L', t, 'cast to text: the value of ' || what || ', inside a query of who may search');
  END IF;
  PERFORM redoubt.close_gate(t, base);
  PERFORM redoubt.build_array_forms(t, base, cast_volatility);

  -- Casts, so that typed parameters need no change in the application.
  EXECUTE format('CREATE CAST (%s AS %s) WITH FUNCTION %s(%s) AS %s', base, t, t, base, cast_context);
  EXECUTE format('COMMENT ON CAST (%s AS %s) IS %L', base, t, 'tokenizes');
  IF base = 'text' THEN
    EXECUTE format('CREATE CAST (varchar AS %s) WITH FUNCTION %s(text) AS %s', t, t, cast_context);
    EXECUTE format('COMMENT ON CAST (varchar AS %s) IS %L', t, 'tokenizes');
    EXECUTE format('CREATE FUNCTION %s(bpchar) RETURNS %s AS %L, %L LANGUAGE c %s COST 10',
                   t, t, lib, 'redoubt_tokenize_bpchar', cast_volatility);
    EXECUTE format('COMMENT ON FUNCTION %s(bpchar) IS %L', t, 'tokenizes, if the role may execute ' || t || '(text)');
    EXECUTE format('CREATE CAST (bpchar AS %s) WITH FUNCTION %s(bpchar) AS %s', t, t, cast_context);
    EXECUTE format('COMMENT ON CAST (bpchar AS %s) IS %L', t, 'tokenizes');
  END IF;

  IF opens THEN
    FOR item IN SELECT * FROM (VALUES ('text'), ('varchar'), ('bpchar')) AS v(target) LOOP
      EXECUTE format('CREATE CAST (%s AS %s) WITH FUNCTION redoubt.open_value(%s) AS IMPLICIT', t, item.target, t);
      EXECUTE format('COMMENT ON CAST (%s AS %s) IS %L', t, item.target, 'the value inside the server');
    END LOOP;
  END IF;

  IF vaulted AND deterministic THEN
    PERFORM redoubt.build_find(f, n, t, base);
  END IF;

  -- Vaulted tokens can be compared in any case: equal is then what is one token.
  IF deterministic OR vaulted THEN
    FOR item IN SELECT * FROM (VALUES ('eq'), ('ne'), ('lt'), ('le'), ('gt'), ('ge')) AS v(op) LOOP
      EXECUTE format('CREATE FUNCTION %s%I(%s, %s) RETURNS boolean AS %L, %L LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE',
                     f, n || '_' || item.op, t, t, lib, 'redoubt_token_' || item.op);
      EXECUTE format('COMMENT ON FUNCTION %s%I(%s, %s) IS %L', f, n || '_' || item.op, t, t, 'comparison of ' || what);
    END LOOP;
    EXECUTE format('CREATE FUNCTION %s%I(%s, %s) RETURNS integer AS %L, %L LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE',
                   f, n || '_cmp', t, t, lib, 'redoubt_token_cmp');
    EXECUTE format('CREATE FUNCTION %s%I(%s) RETURNS integer AS %L, %L LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE',
                   f, n || '_hash', t, lib, 'redoubt_token_hash');
    EXECUTE format('CREATE FUNCTION %s%I(%s, bigint) RETURNS bigint AS %L, %L LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE',
                   f, n || '_hash_extended', t, lib, 'redoubt_token_hash_extended');
    EXECUTE format('CREATE FUNCTION %s%I(internal) RETURNS void AS %L, %L LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SUPPORT redoubt.token_support',
                   f, n || '_sortsupport', lib, 'redoubt_token_sortsupport');
    EXECUTE format('COMMENT ON FUNCTION %s%I(%s, %s) IS %L', f, n || '_cmp', t, t, 'btree comparison of ' || what);
    EXECUTE format('COMMENT ON FUNCTION %s%I(%s) IS %L', f, n || '_hash', t, 'hash of ' || what);
    EXECUTE format('COMMENT ON FUNCTION %s%I(%s, bigint) IS %L', f, n || '_hash_extended', t, 'seeded hash of ' || what);
    EXECUTE format('COMMENT ON FUNCTION %s%I(internal) IS %L', f, n || '_sortsupport', 'sort support of ' || what);

    FOR item IN SELECT * FROM (VALUES
        ('=',  'eq', '=',  '<>', 'eqsel', 'eqjoinsel', ', HASHES, MERGES', 'equal'),
        ('<>', 'ne', '<>', '=',  'neqsel', 'neqjoinsel', '', 'not equal'),
        ('<',  'lt', '>',  '>=', 'scalarltsel', 'scalarltjoinsel', '', 'less than, in token order'),
        ('<=', 'le', '>=', '>',  'scalarlesel', 'scalarlejoinsel', '', 'less than or equal, in token order'),
        ('>',  'gt', '<',  '<=', 'scalargtsel', 'scalargtjoinsel', '', 'greater than, in token order'),
        ('>=', 'ge', '<=', '<',  'scalargesel', 'scalargejoinsel', '', 'greater than or equal, in token order'))
        AS v(op, fn, commutator, negator, restriction, joining, more, meaning) LOOP
      EXECUTE format('CREATE OPERATOR %I.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %s%I, COMMUTATOR = OPERATOR(%I.%s), NEGATOR = OPERATOR(%I.%s), RESTRICT = %I, JOIN = %I%s)',
                     operator_schema, item.op, t, t, f, n || '_' || item.fn, operator_schema, item.commutator,
                     operator_schema, item.negator, item.restriction, item.joining, item.more);
      EXECUTE format('COMMENT ON OPERATOR %I.%s (%s, %s) IS %L', operator_schema, item.op, t, t, item.meaning);
    END LOOP;

    -- Beside text, equality is that of tokens: SQL functions that PostgreSQL takes apart, so that an index serves.  What is cast
    -- to text needs none (src/pg/plan/by_token.h).
    IF vaulted AND deterministic AND base = 'text' THEN
      EXECUTE format('CREATE FUNCTION %s(text) RETURNS %s AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10',
                     sought, t, lib, 'redoubt_vault_sought');
      EXECUTE format('COMMENT ON FUNCTION %s(text) IS %L', sought, 'what a column of ' || what || ' is compared with: the token that a value has, if the role may tokenize');
      FOR item IN SELECT * FROM (VALUES ('=', 'eq', '<>', 'eqsel', 'eqjoinsel', 'equal'), ('<>', 'ne', '=', 'neqsel', 'neqjoinsel', 'not equal'))
          AS v(op, fn, negator, restriction, joining, meaning) LOOP
        EXECUTE format('CREATE FUNCTION %1$s%2$I(%3$s, text) RETURNS boolean LANGUAGE sql STABLE STRICT PARALLEL SAFE SUPPORT redoubt.token_support RETURN $1 OPERATOR(%4$I.%5$s) %6$s($2)',
                       f, n || '_' || item.fn, t, operator_schema, item.op, sought);
        EXECUTE format('CREATE FUNCTION %1$s%2$I(text, %3$s) RETURNS boolean LANGUAGE sql STABLE STRICT PARALLEL SAFE SUPPORT redoubt.token_support RETURN %6$s($1) OPERATOR(%4$I.%5$s) $2',
                       f, n || '_' || item.fn, t, operator_schema, item.op, sought);
        EXECUTE format('COMMENT ON FUNCTION %s%I(%s, text) IS %L', f, n || '_' || item.fn, t, 'comparison of ' || what || ' with a value');
        EXECUTE format('COMMENT ON FUNCTION %s%I(text, %s) IS %L', f, n || '_' || item.fn, t, 'comparison of a value with ' || what);
        EXECUTE format('CREATE OPERATOR %I.%s (LEFTARG = %s, RIGHTARG = text, FUNCTION = %s%I, COMMUTATOR = OPERATOR(%I.%s), NEGATOR = OPERATOR(%I.%s), RESTRICT = %I, JOIN = %I)',
                       operator_schema, item.op, t, f, n || '_' || item.fn, operator_schema, item.op, operator_schema, item.negator, item.restriction, item.joining);
        EXECUTE format('CREATE OPERATOR %I.%s (LEFTARG = text, RIGHTARG = %s, FUNCTION = %s%I, COMMUTATOR = OPERATOR(%I.%s), NEGATOR = OPERATOR(%I.%s), RESTRICT = %I, JOIN = %I)',
                       operator_schema, item.op, t, f, n || '_' || item.fn, operator_schema, item.op, operator_schema, item.negator, item.restriction, item.joining);
        EXECUTE format('COMMENT ON OPERATOR %I.%s (%s, text) IS %L', operator_schema, item.op, t, item.meaning);
        EXECUTE format('COMMENT ON OPERATOR %I.%s (text, %s) IS %L', operator_schema, item.op, t, item.meaning);
      END LOOP;
      PERFORM redoubt.build_row_equality(f, n, t, operator_schema, ARRAY['text']);
    END IF;

    -- LIKE and ILIKE by index, for who makes one with USING gin.
    IF opens AND deterministic THEN
      EXECUTE format('CREATE FUNCTION %s%I(%s, internal, internal) RETURNS internal AS %L, %L LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE',
                     f, n || '_trigrams', t, lib, 'redoubt_trigrams');
      EXECUTE format('COMMENT ON FUNCTION %s%I(%s, internal, internal) IS %L', f, n || '_trigrams', t, 'GIN support of ' || what);
      EXECUTE format('CREATE OPERATOR CLASS %s%I DEFAULT FOR TYPE %s USING gin AS '
                     'OPERATOR 1 redoubt.@~ (anynonarray, bytea), FUNCTION 2 %1$s%4$I(%3$s, internal, internal), '
                     'FUNCTION 3 redoubt.trigrams_of_query(internal, internal, smallint, internal, internal, internal, internal), '
                     'FUNCTION 6 redoubt.trigrams_consistent(internal, smallint, internal, integer, internal, internal, internal), STORAGE bigint',
                     f, n || '_ops', t, n || '_trigrams');
      EXECUTE format('COMMENT ON OPERATOR CLASS %s%I USING gin IS %L', f, n || '_ops', 'trigrams of ' || what);
      EXECUTE format('COMMENT ON OPERATOR FAMILY %s%I USING gin IS %L', f, n || '_ops', 'trigrams of ' || what);
    END IF;

    -- Order and ranges by index, for who makes one with <type>_value_ops: see token_order.h.
    IF opens THEN
      EXECUTE format('CREATE FUNCTION %s%I(%s, %s) RETURNS integer AS %L, %L LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE',
                     f, n || '_value_cmp', t, t, lib, 'redoubt_value_cmp');
      EXECUTE format('CREATE FUNCTION %s%I(internal) RETURNS void AS %L, %L LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SUPPORT redoubt.token_support',
                     f, n || '_value_sort', lib, 'redoubt_value_sort');
      EXECUTE format('COMMENT ON FUNCTION %s%I(%s, %s) IS %L', f, n || '_value_cmp', t, t, 'btree comparison of the values of ' || what || ', by an index alone');
      EXECUTE format('COMMENT ON FUNCTION %s%I(internal) IS %L', f, n || '_value_sort', 'btree sort support of the values of ' || what);
      EXECUTE format('CREATE OPERATOR CLASS %s%I FOR TYPE %s USING btree AS '
                     'OPERATOR 1 redoubt.#<# (anynonarray, internal), OPERATOR 2 redoubt.#<=# (anynonarray, internal), '
                     'OPERATOR 4 redoubt.#>=# (anynonarray, internal), OPERATOR 5 redoubt.#># (anynonarray, internal), '
                     'FUNCTION 1 %1$s%4$I(%3$s, %3$s), FUNCTION 1 (%3$s, internal) redoubt.value_cmp(anynonarray, internal), '
                     'FUNCTION 2 %1$s%5$I(internal), FUNCTION 5 (%3$s, %3$s) redoubt.value_options(internal)',
                     f, n || '_value_ops', t, n || '_value_cmp', n || '_value_sort');
      EXECUTE format('COMMENT ON OPERATOR CLASS %s%I USING btree IS %L', f, n || '_value_ops', what || ', in the order of values');
      EXECUTE format('COMMENT ON OPERATOR FAMILY %s%I USING btree IS %L', f, n || '_value_ops', what || ', in the order of values');
    END IF;

    -- No equalimage function: equal tokens of two key versions differ in their bytes,
    -- so btree must not fold them into one.
    EXECUTE format('CREATE OPERATOR CLASS %s%I DEFAULT FOR TYPE %s USING btree AS '
                   'OPERATOR 1 %7$I.<, OPERATOR 2 %7$I.<=, OPERATOR 3 %7$I.=, OPERATOR 4 %7$I.>=, OPERATOR 5 %7$I.>, '
                   'FUNCTION 1 %1$s%4$I(%3$s, %3$s), FUNCTION 2 %1$s%5$I(internal)',
                   f, n || '_ops', t, n || '_cmp', n || '_sortsupport', NULL, operator_schema);
    EXECUTE format('CREATE OPERATOR CLASS %s%I DEFAULT FOR TYPE %s USING hash AS '
                   'OPERATOR 1 %6$I.=, FUNCTION 1 %1$s%4$I(%3$s), FUNCTION 2 %1$s%5$I(%3$s, bigint)',
                   f, n || '_ops', t, n || '_hash', n || '_hash_extended', operator_schema);
    FOR item IN SELECT * FROM (VALUES ('btree'), ('hash')) AS v(method) LOOP
      EXECUTE format('COMMENT ON OPERATOR CLASS %s%I USING %s IS %L', f, n || '_ops', item.method, what);
      EXECUTE format('COMMENT ON OPERATOR FAMILY %s%I USING %s IS %L', f, n || '_ops', item.method, what);
    END LOOP;
  END IF;

  PERFORM redoubt.add_type(ROW(t::regtype, class_id, method, base, pattern, "normalize", mask, deterministic, key, shipped, now(),
                               NULL, NULL, ttl, invalid)::redoubt.token_type);
  RETURN t::regtype;
END
$body$;
COMMENT ON FUNCTION redoubt.build_token_type(text, text, text, text, text, text, text, boolean, name, uuid, boolean, text, interval, text) IS
  'internal: makes the type, its functions, casts, operators and operator classes, and its policy row';
REVOKE ALL ON FUNCTION redoubt.build_token_type(text, text, text, text, text, text, text, boolean, name, uuid, boolean, text, interval, text) FROM PUBLIC;

CREATE FUNCTION redoubt.check_format(format text) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_check_format' LANGUAGE c STRICT STABLE PARALLEL SAFE;
COMMENT ON FUNCTION redoubt.check_format(text) IS 'internal: the base of a format, text or bigint; raises 22023 with the reason unless it is usable';
REVOKE ALL ON FUNCTION redoubt.check_format(text) FROM PUBLIC;

/* build_format_type makes the family of objects of one format-preserving token type.
 *
 * It is stored as text or bigint and coercible to it as it is.  The other way is
 * never free: a cast that is written out tokenizes, an assignment checks the token.
 */
CREATE FUNCTION redoubt.build_format_type(type_schema text, type_name text, format text, pattern text, "normalize" text,
    mask text, key name, method text DEFAULT 'fpe', deterministic boolean DEFAULT true, ttl interval DEFAULT NULL)
  RETURNS regtype LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  SET client_min_messages = warning  -- no notice that the type is a shell still
AS $body$
DECLARE
  lib constant text := '$libdir/redoubt';
  t constant text := format('%I.%I', type_schema, type_name);
  f constant text := format('%I.', type_schema);
  n constant text := type_name;
  what constant text := format('token type %s', t);
  composed constant text := CASE getdatabaseencoding() WHEN 'UTF8' THEN normalize(format, NFC) ELSE format END;
  base constant text := redoubt.check_format(composed);
  c constant text := CASE base WHEN 'bigint' THEN 'redoubt_fpe_integer_' ELSE 'redoubt_fpe_' END;  -- C symbols
  vaulted constant boolean := method = 'vault';
  cast_volatility constant text := CASE WHEN vaulted THEN 'VOLATILE STRICT PARALLEL UNSAFE' ELSE 'STABLE STRICT PARALLEL SAFE' END;
  normalizer text := "normalize";
  version integer;
  item record;
BEGIN
  -- 'none' is the format's own: equal values must have one form before they are encrypted.
  IF normalizer = 'none' AND base = 'text' THEN
    normalizer := CASE WHEN composed = 'phone' THEN 'phone(US)' WHEN composed = 'uuid' THEN 'lower'
                    WHEN composed ~ '^email($|\(.*\)$)' THEN 'email' WHEN composed ~ '^name($|\(.*\)$)' THEN 'name' ELSE 'trim' END;
  END IF;
  normalizer := redoubt.check_policy(normalizer, mask, pattern);
  -- The letters of a class given here are characters of the server's encoding; those of an alphabet's name need not be.
  IF getdatabaseencoding() <> 'UTF8' AND composed ~ '^name($|\(.*\)$)' AND composed !~ 'alphabet=(ascii|\[)' THEN
    RAISE EXCEPTION 'invalid format for a token type: the encoding of this database has not all letters of the alphabet' USING ERRCODE = '22023',
      HINT = 'Use name(alphabet=ascii), or a class: name(alphabet=[...],upper=[...]).';
  END IF;
  IF base = 'bigint' AND (pattern IS NOT NULL OR normalizer <> 'none') THEN
    RAISE EXCEPTION 'a token type of base bigint takes neither pattern nor normalize' USING ERRCODE = '22023';
  END IF;
  IF length(n::bytea) > 48 THEN
    RAISE EXCEPTION 'the name of a token type has at most 48 bytes' USING ERRCODE = '42622';
  END IF;
  -- Its tokens have no room for a key version: the newest one is theirs for ever.  The vault has.
  IF NOT vaulted THEN
    IF key = 'default' AND NOT EXISTS (SELECT FROM redoubt.key AS k WHERE k.name = build_format_type.key) THEN
      PERFORM redoubt.create_key(key);
    END IF;
    SELECT max(k.version) INTO version FROM redoubt.key AS k WHERE k.name = build_format_type.key;
  END IF;

  EXECUTE format('CREATE TYPE %s', t);
  EXECUTE format('CREATE FUNCTION %s%I(cstring, oid, integer) RETURNS %s AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT redoubt.token_support',
                 f, n || '_in', t, lib, c || 'in');
  EXECUTE format('CREATE FUNCTION %s%I(internal, oid, integer) RETURNS %s AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE',
                 f, n || '_recv', t, lib, c || 'recv');
  EXECUTE format('CREATE FUNCTION %s%I(%s) RETURNS cstring AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE', f, n || '_out', t, lib, c || 'out');
  EXECUTE format('CREATE FUNCTION %s%I(%s) RETURNS bytea AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE', f, n || '_send', t, lib, c || 'send');
  EXECUTE format('CREATE TYPE %s (INPUT = %s%I, OUTPUT = %s%I, RECEIVE = %s%I, SEND = %s%I, LIKE = pg_catalog.%I, CATEGORY = %L, COLLATABLE = %s)',
                 t, f, n || '_in', f, n || '_out', f, n || '_recv', f, n || '_send',
                 CASE base WHEN 'bigint' THEN 'int8' ELSE 'text' END, CASE base WHEN 'bigint' THEN 'N' ELSE 'S' END,
                 CASE base WHEN 'bigint' THEN 'false' ELSE 'true' END);  -- text's operators, which it uses, need a collation
  EXECUTE format('COMMENT ON TYPE %s IS %L', t, 'redoubt ' || CASE WHEN vaulted THEN 'vaulted' ELSE 'format-preserving' END || ' token type');
  EXECUTE format('COMMENT ON FUNCTION %s%I(cstring, oid, integer) IS %L', f, n || '_in', 'input of ' || what);
  EXECUTE format('COMMENT ON FUNCTION %s%I(internal, oid, integer) IS %L', f, n || '_recv', 'binary input of ' || what);
  EXECUTE format('COMMENT ON FUNCTION %s%I(%s) IS %L', f, n || '_out', t, 'output of ' || what);
  EXECUTE format('COMMENT ON FUNCTION %s%I(%s) IS %L', f, n || '_send', t, 'binary output of ' || what);

  -- The gate: EXECUTE on these three is the privilege, and nobody has it yet.
  EXECUTE format('CREATE FUNCTION %s(%s) RETURNS %s AS %L, %L LANGUAGE c %s COST 10', t, base, t, lib, c || 'tokenize', cast_volatility);
  EXECUTE format('CREATE FUNCTION redoubt.detokenize(%s) RETURNS %s AS %L, %L LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 10',
                 t, base, lib, c || 'detokenize');
  EXECUTE format('CREATE FUNCTION redoubt.mask(%s) RETURNS text AS %L, %L LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 10', t, lib, c || 'mask');
  PERFORM redoubt.close_gate(t, base);
  PERFORM redoubt.build_array_forms(t, base, cast_volatility);

  IF vaulted AND deterministic THEN
    PERFORM redoubt.build_find(f, n, t, base);
  END IF;

  -- Casts to the type; what they tokenize is checked inside.
  FOR item IN SELECT * FROM (VALUES ('text', 'text', 'cast'), ('varchar', 'text', 'cast'), ('bpchar', 'bpchar', 'cast_bpchar'),
                                    ('bigint', 'bigint', 'cast'), ('integer', 'integer', 'cast4')) AS v(source, argument, symbol)
              WHERE (v.source IN ('bigint', 'integer')) = (base = 'bigint') LOOP
    IF item.source <> 'varchar' THEN
      EXECUTE format('CREATE FUNCTION %s%I(%s, integer, boolean) RETURNS %s AS %L, %L LANGUAGE c %s COST 10',
                     f, n || '_cast', item.argument, t, lib, c || item.symbol, cast_volatility);
      EXECUTE format('COMMENT ON FUNCTION %s%I(%s, integer, boolean) IS %L', f, n || '_cast', item.argument,
                     'cast: tokenizes if explicit and the role may, else takes a token');
    END IF;
    EXECUTE format('CREATE CAST (%s AS %s) WITH FUNCTION %s%I(%s, integer, boolean) AS ASSIGNMENT', item.source, t, f, n || '_cast', item.argument);
    EXECUTE format('COMMENT ON CAST (%s AS %s) IS %L', item.source, t, 'written out: tokenizes; assignment: takes a token');
  END LOOP;
  -- And from it: the token as it is.
  FOR item IN SELECT * FROM (VALUES ('text'), ('varchar'), ('bpchar'), ('bigint')) AS v(target)
              WHERE (v.target = 'bigint') = (base = 'bigint') LOOP
    EXECUTE format('CREATE CAST (%s AS %s) WITHOUT FUNCTION AS IMPLICIT', t, item.target);
    EXECUTE format('COMMENT ON CAST (%s AS %s) IS %L', t, item.target, 'the token as it is');
  END LOOP;

  -- Equality and order of the bytes, or of the numbers: PostgreSQL's own functions of bytea and bigint.
  FOR item IN SELECT * FROM (VALUES ('eq', 'byteaeq', 'int8eq'), ('ne', 'byteane', 'int8ne'), ('lt', 'bytealt', 'int8lt'),
                                    ('le', 'byteale', 'int8le'), ('gt', 'byteagt', 'int8gt'), ('ge', 'byteage', 'int8ge'))
              AS v(op, bytes, number) LOOP
    EXECUTE format('CREATE FUNCTION %s%I(%s, %s) RETURNS boolean AS %L LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE',
                   f, n || '_' || item.op, t, t, CASE base WHEN 'bigint' THEN item.number ELSE item.bytes END);
    EXECUTE format('COMMENT ON FUNCTION %s%I(%s, %s) IS %L', f, n || '_' || item.op, t, t, 'comparison of ' || what);
  END LOOP;
  FOR item IN SELECT * FROM (VALUES
      ('cmp', '%1$s, %1$s', 'integer', 'byteacmp', 'btint8cmp', 'LEAKPROOF', 'btree comparison'),
      ('hash', '%1$s', 'integer', 'hashvarlena', 'hashint8', 'LEAKPROOF', 'hash'),
      ('hash_extended', '%1$s, bigint', 'bigint', 'hashvarlenaextended', 'hashint8extended', 'LEAKPROOF', 'seeded hash'),
      ('sortsupport', 'internal', 'void', 'bytea_sortsupport', 'btint8sortsupport', 'SUPPORT redoubt.token_support', 'sort support'))
      AS v(suffix, arguments, result, bytes, number, more, meaning) LOOP
    EXECUTE format('CREATE FUNCTION %s%I(%s) RETURNS %s AS %L LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE %s',
                   f, n || '_' || item.suffix, format(item.arguments, t), item.result,
                   CASE base WHEN 'bigint' THEN item.number ELSE item.bytes END, item.more);
    EXECUTE format('COMMENT ON FUNCTION %s%I(%s) IS %L', f, n || '_' || item.suffix, format(item.arguments, t), item.meaning || ' of ' || what);
  END LOOP;
  FOR item IN SELECT * FROM (VALUES
      ('=',  'eq', '=',  '<>', 'eqsel', 'eqjoinsel', ', HASHES, MERGES', 'equal'),
      ('<>', 'ne', '<>', '=',  'neqsel', 'neqjoinsel', '', 'not equal'),
      ('<',  'lt', '>',  '>=', 'scalarltsel', 'scalarltjoinsel', '', 'less than, in token order'),
      ('<=', 'le', '>=', '>',  'scalarlesel', 'scalarlejoinsel', '', 'less than or equal, in token order'),
      ('>',  'gt', '<',  '<=', 'scalargtsel', 'scalargtjoinsel', '', 'greater than, in token order'),
      ('>=', 'ge', '<=', '<',  'scalargesel', 'scalargejoinsel', '', 'greater than or equal, in token order'))
      AS v(op, fn, commutator, negator, restriction, joining, more, meaning) LOOP
    EXECUTE format('CREATE OPERATOR %s%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %s%I, COMMUTATOR = OPERATOR(%s%s), NEGATOR = OPERATOR(%s%s), RESTRICT = %I, JOIN = %I%s)',
                   f, item.op, t, t, f, n || '_' || item.fn, f, item.commutator, f, item.negator, item.restriction, item.joining, item.more);
    EXECUTE format('COMMENT ON OPERATOR %s%s (%s, %s) IS %L', f, item.op, t, t, item.meaning);
  END LOOP;
  -- Beside its base, equality is that of tokens: of the token that a value has where the session writes values.
  IF deterministic THEN
    EXECUTE format('CREATE FUNCTION %s%I(%s) RETURNS %s AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10',
                   f, n || '_sought', base, t, lib, c || 'sought');
    EXECUTE format('COMMENT ON FUNCTION %s%I(%s) IS %L', f, n || '_sought', base, 'what a column of ' || what || ' is compared with: the token of a value, or a token as it is');
    FOR item IN SELECT o.*, v.other FROM (VALUES ('=', 'eq', '<>', 'eqsel', 'eqjoinsel', 'equal'), ('<>', 'ne', '=', 'neqsel', 'neqjoinsel', 'not equal'))
        AS o(op, fn, negator, restriction, joining, meaning), (VALUES ('text'), ('bigint'), ('integer')) AS v(other)
        WHERE (v.other = 'text') = (base = 'text') LOOP
      EXECUTE format('CREATE FUNCTION %1$s%2$I(%3$s, %6$s) RETURNS boolean LANGUAGE sql STABLE STRICT PARALLEL SAFE SUPPORT redoubt.token_support RETURN $1 OPERATOR(%1$s%5$s) %1$s%4$I($2)',
                     f, n || '_' || item.fn, t, n || '_sought', item.op, item.other);
      EXECUTE format('CREATE FUNCTION %1$s%2$I(%6$s, %3$s) RETURNS boolean LANGUAGE sql STABLE STRICT PARALLEL SAFE SUPPORT redoubt.token_support RETURN %1$s%4$I($1) OPERATOR(%1$s%5$s) $2',
                     f, n || '_' || item.fn, t, n || '_sought', item.op, item.other);
      EXECUTE format('COMMENT ON FUNCTION %s%I(%s, %s) IS %L', f, n || '_' || item.fn, t, item.other, 'comparison of ' || what || ' with a value');
      EXECUTE format('COMMENT ON FUNCTION %s%I(%s, %s) IS %L', f, n || '_' || item.fn, item.other, t, 'comparison of a value with ' || what);
      EXECUTE format('CREATE OPERATOR %1$s%2$s (LEFTARG = %3$s, RIGHTARG = %9$s, FUNCTION = %1$s%4$I, COMMUTATOR = OPERATOR(%1$s%5$s), NEGATOR = OPERATOR(%1$s%6$s), RESTRICT = %7$I, JOIN = %8$I)',
                     f, item.op, t, n || '_' || item.fn, item.op, item.negator, item.restriction, item.joining, item.other);
      EXECUTE format('CREATE OPERATOR %1$s%2$s (LEFTARG = %9$s, RIGHTARG = %3$s, FUNCTION = %1$s%4$I, COMMUTATOR = OPERATOR(%1$s%5$s), NEGATOR = OPERATOR(%1$s%6$s), RESTRICT = %7$I, JOIN = %8$I)',
                     f, item.op, t, n || '_' || item.fn, item.op, item.negator, item.restriction, item.joining, item.other);
      EXECUTE format('COMMENT ON OPERATOR %s%s (%s, %s) IS %L', f, item.op, t, item.other, item.meaning);
      EXECUTE format('COMMENT ON OPERATOR %s%s (%s, %s) IS %L', f, item.op, item.other, t, item.meaning);
    END LOOP;
    PERFORM redoubt.build_row_equality(f, n, t, type_schema, CASE base WHEN 'bigint' THEN ARRAY['bigint', 'integer'] ELSE ARRAY['text'] END);
  END IF;

  EXECUTE format('CREATE OPERATOR CLASS %1$s%2$I DEFAULT FOR TYPE %3$s USING btree AS '
                 'OPERATOR 1 %1$s<, OPERATOR 2 %1$s<=, OPERATOR 3 %1$s=, OPERATOR 4 %1$s>=, OPERATOR 5 %1$s>, '
                 'FUNCTION 1 %1$s%4$I(%3$s, %3$s), FUNCTION 2 %1$s%5$I(internal), FUNCTION 4 pg_catalog.btequalimage(oid)',
                 f, n || '_ops', t, n || '_cmp', n || '_sortsupport');
  EXECUTE format('CREATE OPERATOR CLASS %1$s%2$I DEFAULT FOR TYPE %3$s USING hash AS '
                 'OPERATOR 1 %1$s=, FUNCTION 1 %1$s%4$I(%3$s), FUNCTION 2 %1$s%5$I(%3$s, bigint)',
                 f, n || '_ops', t, n || '_hash', n || '_hash_extended');
  FOR item IN SELECT * FROM (VALUES ('btree'), ('hash')) AS v(method) LOOP
    EXECUTE format('COMMENT ON OPERATOR CLASS %s%I USING %s IS %L', f, n || '_ops', item.method, what);
    EXECUTE format('COMMENT ON OPERATOR FAMILY %s%I USING %s IS %L', f, n || '_ops', item.method, what);
  END LOOP;

  PERFORM redoubt.add_type(ROW(t::regtype, gen_random_uuid(), method, base, pattern, normalizer, mask, deterministic, key, false, now(),
                               composed, version, ttl, 'refuse')::redoubt.token_type);
  RETURN t::regtype;
END
$body$;
COMMENT ON FUNCTION redoubt.build_format_type(text, text, text, text, text, text, name, text, boolean, interval) IS
  'internal: makes a format-preserving or vaulted type that has a format, its functions, casts, operators and operator classes, and its policy row';
REVOKE ALL ON FUNCTION redoubt.build_format_type(text, text, text, text, text, text, name, text, boolean, interval) FROM PUBLIC;

-- For columns whose type cannot change.  The privilege, the budget and the record are
-- those of the type; they are checked inside, so that anybody may call.
CREATE FUNCTION redoubt.vault_support(internal) RETURNS internal
  AS 'MODULE_PATHNAME', 'redoubt_vault_support' LANGUAGE c STRICT;
COMMENT ON FUNCTION redoubt.vault_support(internal) IS 'internal: planner support function; makes tokenize() of a vaulted type vault_token()';
REVOKE ALL ON FUNCTION redoubt.vault_support(internal) FROM PUBLIC;
CREATE FUNCTION redoubt.tokenize(value text, token_type regtype) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_tokenize_as' LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10 SUPPORT redoubt.vault_support;
COMMENT ON FUNCTION redoubt.tokenize(text, regtype) IS 'the token of a value as text, if the role may tokenize values of the type';
CREATE FUNCTION redoubt.detokenize(token text, token_type regtype) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_detokenize_as' LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION redoubt.detokenize(text, regtype) IS 'the value of a token in a text, if the role may reveal values of the type';
CREATE FUNCTION redoubt.mask(token text, token_type regtype) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_mask_as' LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION redoubt.mask(text, regtype) IS 'the masked value of a token in a text, if the role may reveal values of the type masked';
CREATE FUNCTION redoubt.check_value(value text, token_type regtype) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_check_value' LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION redoubt.check_value(text, regtype) IS 'why the type cannot read a value, which it then keeps as typed or refuses; null where it can';
CREATE FUNCTION redoubt.tokenize("values" text[], token_type regtype) RETURNS text[]
  AS 'MODULE_PATHNAME', 'redoubt_tokenize_array_as' LANGUAGE c STABLE STRICT PARALLEL SAFE COST 100 SUPPORT redoubt.vault_support;
COMMENT ON FUNCTION redoubt.tokenize(text[], regtype) IS 'the token of each element as text, if the role may tokenize values of the type';
CREATE FUNCTION redoubt.detokenize(tokens text[], token_type regtype) RETURNS text[]
  AS 'MODULE_PATHNAME', 'redoubt_detokenize_array_as' LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION redoubt.detokenize(text[], regtype) IS 'the value of the token in each element, if the role may reveal values of the type';
CREATE FUNCTION redoubt.mask(tokens text[], token_type regtype) RETURNS text[]
  AS 'MODULE_PATHNAME', 'redoubt_mask_array_as' LANGUAGE c VOLATILE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION redoubt.mask(text[], regtype) IS 'the masked value of the token in each element, if the role may reveal values of the type masked';

-- Of vaulted types alone.
CREATE FUNCTION redoubt.vault_token(value text, token_type regtype) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_vault_token' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 100;
COMMENT ON FUNCTION redoubt.vault_token(text, regtype) IS 'the token of a value as text, made and put into the vault if need be, if the role may tokenize values of the type';
CREATE FUNCTION redoubt.vault_token("values" text[], token_type regtype) RETURNS text[]
  AS 'MODULE_PATHNAME', 'redoubt_vault_token_array' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION redoubt.vault_token(text[], regtype) IS 'the token of each element as text, made and put into the vault if need be, if the role may tokenize values of the type';
CREATE FUNCTION redoubt.find_token(value text, token_type regtype) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_find_token' LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION redoubt.find_token(text, regtype) IS 'the token that a value has, null where it has none, if the role may tokenize values of the type';

CREATE FUNCTION redoubt.forget(token anyelement) RETURNS boolean
  AS 'MODULE_PATHNAME', 'redoubt_forget' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.forget(anyelement) IS 'deletes the value of a vaulted token, for good; false if there is none';
CREATE FUNCTION redoubt.forget(token text, token_type regtype) RETURNS boolean
  AS 'MODULE_PATHNAME', 'redoubt_forget_text' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.forget(text, regtype) IS 'deletes the value of a vaulted token in a text, for good; false if there is none';
CREATE FUNCTION redoubt.forget_value(token_type regtype, value text) RETURNS boolean
  AS 'MODULE_PATHNAME', 'redoubt_forget_value' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.forget_value(regtype, text) IS 'deletes a value of a consistent vaulted type, for good, if the role may tokenize values of the type; false if there is none';
CREATE FUNCTION redoubt.disable_tokens(token_type regtype, tokens text[] DEFAULT NULL) RETURNS bigint
  AS 'MODULE_PATHNAME', 'redoubt_disable_tokens' LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.disable_tokens(regtype, text[]) IS 'stops the tokens given, or all of the vaulted type, from being detokenized; returns how many';
CREATE FUNCTION redoubt.enable_tokens(token_type regtype, tokens text[] DEFAULT NULL) RETURNS bigint
  AS 'MODULE_PATHNAME', 'redoubt_enable_tokens' LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.enable_tokens(regtype, text[]) IS 'undoes disable_tokens(); returns how many';
CREATE FUNCTION redoubt.sweep_vault(batch integer DEFAULT 1000) RETURNS bigint
  AS 'MODULE_PATHNAME', 'redoubt_sweep_vault' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.sweep_vault(integer) IS 'deletes up to that many expired values of this database now; returns how many';
CREATE FUNCTION redoubt.reseal_batch(token_type regtype, after bytea, batch integer, OUT resealed bigint, OUT last bytea)
  AS 'MODULE_PATHNAME', 'redoubt_reseal_batch' LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.reseal_batch(regtype, bytea, integer) IS 'internal: one batch of reseal_vault(), after a token of the vault; last is null at the end';
-- No SET search_path, because it commits: every name and operator is qualified instead.
CREATE PROCEDURE redoubt.reseal_vault(token_type regtype DEFAULT NULL, batch integer DEFAULT 1000) LANGUAGE plpgsql
AS $body$
DECLARE
  types regtype[] := ARRAY[token_type];
  typ regtype;
  last bytea;
BEGIN
  IF token_type IS NULL THEN
    types := ARRAY(SELECT t.typ FROM redoubt.token_type AS t WHERE t.method OPERATOR(pg_catalog.=) 'vault'
                     AND EXISTS (SELECT FROM pg_catalog.pg_type AS p WHERE p.oid OPERATOR(pg_catalog.=) t.typ) ORDER BY t.created_at USING OPERATOR(pg_catalog.<));
  END IF;
  FOREACH typ IN ARRAY types LOOP
    LOOP
      SELECT b.last INTO last FROM redoubt.reseal_batch(typ, last, batch) AS b;
      COMMIT;
      EXIT WHEN last IS NULL;
    END LOOP;
  END LOOP;
END
$body$;
COMMENT ON PROCEDURE redoubt.reseal_vault(regtype, integer) IS 'seals the values of a vaulted type, or of all, with the current version of their key; commits after each batch';
REVOKE ALL ON FUNCTION redoubt.reseal_batch(regtype, bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.reseal_batch(regtype, bytea, integer) TO redoubt_admin;
REVOKE ALL ON PROCEDURE redoubt.reseal_vault(regtype, integer) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE redoubt.reseal_vault(regtype, integer) TO redoubt_admin;
REVOKE ALL ON FUNCTION redoubt.forget(anyelement), redoubt.forget(text, regtype), redoubt.forget_value(regtype, text),
  redoubt.disable_tokens(regtype, text[]), redoubt.enable_tokens(regtype, text[]), redoubt.sweep_vault(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.forget(anyelement), redoubt.forget(text, regtype), redoubt.forget_value(regtype, text),
  redoubt.disable_tokens(regtype, text[]), redoubt.enable_tokens(regtype, text[]), redoubt.sweep_vault(integer) TO redoubt_admin;

CREATE VIEW redoubt.formats AS
  SELECT v.name, v.format, v.base, v.kept, v.example FROM (VALUES
    ('template', 'TM-(\d{7})', 'text', 'all that is outside of the groups', 'TM-4711000'),
    ('digits', 'digits(8,20)', 'text', 'the length', '4929182736'),
    ('alnum', 'alnum(4,64)', 'text', 'the length', 'Xk20aQz7'),
    ('alphabet', '([A-HJ-NP-Z2-9]{8,12})', 'text', 'the length', 'K7PQ3XTD'),
    ('card', 'card(bin=6,last=4,length=16-19,check=ignore)', 'text', 'BIN, last four, separators, length', '4111 1111 1111 1111'),
    ('us_ssn', 'us_ssn', 'text', 'hyphens', '123-45-6789'),
    ('phone', 'phone', 'text', 'calling code, extension, length', '+442079460958'),
    ('email', 'email(domain=hidden)', 'text', 'the length, in classes of 8', 'alice@example.com'),
    ('email_local', 'email(domain=kept)', 'text', 'the domain, the length of the local part in classes of 8', 'alice@example.com'),
    ('name', 'name(alphabet=latin,short=3)', 'text', 'words, separators, case; the length beyond three letters', 'Mary O''Connor-Smith'),
    ('uuid', 'uuid', 'text', 'version, variant, hyphens', '2c5ea4c0-4067-41fe-8bad-1f2d3c4b5a01'),
    ('date', 'date(0001-01-01,9999-12-31)', 'text', 'nothing but the range', '1984-02-29'),
    ('integer', 'integer(1000000,9999999)', 'bigint', 'nothing but the range', '4711000'))
    AS v(name, format, base, kept, example);
COMMENT ON VIEW redoubt.formats IS 'formats of format-preserving token types: for create_token_type(), what a token keeps, and a value or token of it';
GRANT SELECT ON redoubt.formats TO PUBLIC;

CREATE FUNCTION redoubt.create_token_type(name text, base text DEFAULT 'text', pattern text DEFAULT NULL,
    "normalize" text DEFAULT 'none', mask text DEFAULT 'full', deterministic boolean DEFAULT true, key name DEFAULT 'default',
    method text DEFAULT 'sealed', format text DEFAULT NULL, ttl interval DEFAULT NULL, invalid text DEFAULT NULL)
  RETURNS regtype LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  parts constant text[] := parse_ident(name);
  in_schema text := 'redoubt';
BEGIN
  IF num_nulls(name, base, "normalize", mask, deterministic, key, method) > 0 THEN
    RAISE EXCEPTION 'only the pattern, the format, the ttl and what is invalid of a token type may be null' USING ERRCODE = '22004';
  END IF;
  IF method NOT IN ('sealed', 'fpe', 'vault') THEN
    RAISE EXCEPTION 'invalid method for a token type' USING ERRCODE = '22023', HINT = 'Use sealed, fpe or vault.';
  ELSIF (method = 'fpe' AND format IS NULL) OR (method = 'sealed' AND format IS NOT NULL) THEN
    RAISE EXCEPTION 'a token type of method fpe has a format, one of method sealed has none' USING ERRCODE = '22023',
      HINT = 'redoubt.formats lists the formats, with an example each.';
  ELSIF method = 'fpe' AND (base <> 'text' OR NOT deterministic) THEN
    RAISE EXCEPTION 'a format-preserving token type is deterministic and has the base of its format' USING ERRCODE = '22023';
  ELSIF format IS NOT NULL AND base <> 'text' THEN
    RAISE EXCEPTION 'a token type with a format has the base of its format' USING ERRCODE = '22023';
  ELSIF ttl IS NOT NULL AND (method <> 'vault' OR ttl <= '0' OR now() + ttl <= now()) THEN
    RAISE EXCEPTION 'invalid ttl for a token type' USING ERRCODE = '22023',
      HINT = 'A token type of method vault may have a ttl; it is greater than zero.';
  ELSIF invalid NOT IN ('keep', 'refuse') THEN
    RAISE EXCEPTION 'invalid treatment of what a token type cannot read' USING ERRCODE = '22023', HINT = 'Use keep or refuse.';
  ELSIF invalid = 'keep' AND (format IS NOT NULL OR base = 'bytea') THEN
    RAISE EXCEPTION 'a token type with a format, or of base bytea, refuses what it cannot read' USING ERRCODE = '22023';
  END IF;
  -- The default key is made at first use; another one that is missing is more likely a slip.
  IF key <> 'default' AND NOT EXISTS (SELECT FROM redoubt.key AS k WHERE k.name = create_token_type.key) THEN
    RAISE EXCEPTION 'key "%" does not exist', key USING ERRCODE = '42704', HINT = 'Make it with redoubt.create_key().';
  END IF;
  IF cardinality(parts) > 2 THEN
    RAISE EXCEPTION 'invalid name for a token type' USING ERRCODE = '42602', HINT = 'Use name or schema.name.';
  ELSIF cardinality(parts) = 2 THEN
    in_schema := parts[1];
    IF in_schema IN ('pg_catalog', 'information_schema') OR in_schema LIKE 'pg\_%' THEN
      RAISE EXCEPTION 'a token type cannot be made in a system schema' USING ERRCODE = '42501';
    END IF;
    -- This function runs as its owner; where to create is for the session to say.
    IF in_schema <> 'redoubt' AND NOT has_schema_privilege(session_user, in_schema, 'CREATE') THEN
      RAISE EXCEPTION 'permission denied for schema %', in_schema USING ERRCODE = '42501';
    END IF;
  END IF;
  IF format IS NOT NULL THEN
    RETURN redoubt.build_format_type(in_schema, parts[cardinality(parts)], format, pattern, "normalize", mask, key,
                                     method, deterministic, ttl);
  END IF;
  RETURN redoubt.build_token_type(in_schema, parts[cardinality(parts)], in_schema, base, pattern, "normalize", mask,
                                  deterministic, key, gen_random_uuid(), false, method, ttl,
                                  coalesce(invalid, CASE WHEN pattern IS NULL AND base = 'text' THEN 'keep' ELSE 'refuse' END));
END
$body$;
COMMENT ON FUNCTION redoubt.create_token_type(text, text, text, text, text, boolean, name, text, text, interval, text) IS
  'makes a token type of one''s own: a base type with operators, index support, casts, detokenize and mask';
REVOKE ALL ON FUNCTION redoubt.create_token_type(text, text, text, text, text, boolean, name, text, text, interval, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.create_token_type(text, text, text, text, text, boolean, name, text, text, interval, text) TO redoubt_admin;

CREATE FUNCTION redoubt.drop_token_type(typ regtype) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET client_min_messages = warning  -- no notice of what the type takes with it
AS $body$
DECLARE
  name constant text := format_type(typ, NULL);
  shipped_type boolean;
  own_name text;
  own_schema oid;
  users text;
  item record;
BEGIN
  SELECT t.shipped INTO shipped_type FROM redoubt.token_type AS t WHERE t.typ = drop_token_type.typ;
  SELECT t.typname, t.typnamespace INTO own_name, own_schema FROM pg_type AS t WHERE t.oid = drop_token_type.typ;
  IF shipped_type IS NULL THEN
    RAISE EXCEPTION '% is not a token type', name USING ERRCODE = '42809';
  ELSIF shipped_type THEN
    RAISE EXCEPTION 'token type % is part of the extension', name USING ERRCODE = '2BP01';
  END IF;
  -- Everything that depends on the type or its array type but is not of its own family.
  SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO users
  FROM pg_depend AS d
  WHERE d.refclassid = 'pg_type'::regclass
    AND d.refobjid IN (SELECT p.oid FROM pg_type AS p WHERE p.oid = drop_token_type.typ OR p.typelem = drop_token_type.typ)
    AND d.deptype <> 'i'
    AND NOT (d.classid = 'pg_proc'::regclass AND d.objid IN
             (SELECT p.oid FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
              WHERE (l.lanname = 'c' AND p.probin = '$libdir/redoubt')
                 OR p.prosupport = 'redoubt.token_support'::regproc
                 OR (l.lanname = 'internal' AND p.pronamespace = own_schema AND starts_with(p.proname, own_name || '_'))))
    AND d.classid NOT IN ('pg_operator'::regclass, 'pg_cast'::regclass, 'pg_opclass'::regclass, 'pg_amop'::regclass, 'pg_amproc'::regclass);
  SELECT concat_ws(', ', users, string_agg('the label of ' || pg_describe_object(l.classoid, l.objoid, l.objsubid), ', ')) INTO users
  FROM pg_seclabel AS l
  WHERE l.provider = 'redoubt' AND l.classoid <> 'pg_proc'::regclass  -- functions are labelled as trusted
    AND to_regtype(CASE cardinality(parse_ident(l.label)) WHEN 1 THEN 'redoubt.' ELSE '' END || l.label) = drop_token_type.typ;
  IF users <> '' THEN
    RAISE EXCEPTION 'cannot drop token type % because other objects depend on it', name
      USING ERRCODE = '2BP01', DETAIL = users, HINT = 'Change or drop these first.';
  END IF;
  PERFORM redoubt.remove_type(typ);
  -- The family in the order of its dependencies, not by CASCADE: whoever uses a part of it keeps it all.
  FOR item IN
    WITH family AS (
      SELECT p.oid, p.prolang = (SELECT l.oid FROM pg_language AS l WHERE l.lanname = 'sql') AS in_sql FROM pg_proc AS p JOIN pg_type AS t ON t.oid = drop_token_type.typ
      WHERE (p.probin = '$libdir/redoubt' OR p.prosupport = 'redoubt.token_support'::regproc
             OR (p.prolang = (SELECT l.oid FROM pg_language AS l WHERE l.lanname = 'internal')
                 AND p.pronamespace = own_schema AND starts_with(p.proname, own_name || '_')))
        AND p.oid NOT IN (t.typinput, t.typoutput, t.typreceive, t.typsend)
        AND (t.oid = ANY (p.proargtypes) OR t.typarray = ANY (p.proargtypes) OR p.prorettype IN (t.oid, t.typarray)
             OR (p.pronamespace = t.typnamespace AND p.proname IN (t.typname || '_sortsupport', t.typname || '_value_sort'))))
    SELECT 1 AS turn, 'OPERATOR FAMILY' AS kind, 'pg_opfamily'::regclass AS catalog, o.opcfamily AS object
      FROM pg_opclass AS o JOIN pg_type AS t ON t.oid = o.opcintype
      WHERE t.oid = drop_token_type.typ AND o.opcname IN (t.typname || '_ops', t.typname || '_value_ops')
    UNION ALL SELECT 1, 'OPERATOR FAMILY', 'pg_opfamily', m.oid
      FROM pg_opfamily AS m JOIN pg_type AS t ON m.opfnamespace = t.typnamespace AND m.opfname = t.typname || '_row_ops'
      WHERE t.oid = drop_token_type.typ
    UNION ALL SELECT CASE WHEN f.in_sql THEN 2 ELSE 4 END, 'OPERATOR', 'pg_operator', o.oid
      FROM pg_operator AS o JOIN family AS f ON f.oid = o.oprcode
    UNION ALL SELECT 5, 'CAST', 'pg_cast', c.oid FROM pg_cast AS c
      WHERE c.castfunc IN (SELECT f.oid FROM family AS f) OR (c.castsource = drop_token_type.typ AND c.castmethod = 'b')
    UNION ALL SELECT CASE WHEN f.in_sql THEN 3 ELSE 6 END, 'FUNCTION', 'pg_proc', f.oid FROM family AS f
    ORDER BY turn, object
  LOOP
    EXECUTE format('DROP %s %s', item.kind, (pg_identify_object(item.catalog, item.object, 0)).identity);
  END LOOP;
  -- The type and its input and output functions depend on each other.
  EXECUTE format('DROP TYPE %s CASCADE', name);
END
$body$;
COMMENT ON FUNCTION redoubt.drop_token_type(regtype) IS 'drops a token type made by create_token_type(), if nothing uses it';
REVOKE ALL ON FUNCTION redoubt.drop_token_type(regtype) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.drop_token_type(regtype) TO redoubt_admin;

-- ------------------------------------------------ protecting a column online
--
-- All work on a table is done in a cage (src/pg/ddl/protection.h): as the table's owner, in a security-restricted
-- operation, whoever calls.  What opens it is protect_step(), protect_undo_step(), check_protect() and unprotect_column();
-- the functions of the steps refuse to run elsewhere.  Functions have a fixed search_path; procedures, which commit and so
-- cannot have one, qualify each operator.

CREATE FUNCTION redoubt.keep_token() RETURNS trigger
  AS 'MODULE_PATHNAME', 'redoubt_keep_token' LANGUAGE c;
COMMENT ON FUNCTION redoubt.keep_token() IS 'internal: keeps the token column of a column that is being protected current; does nothing anywhere else';
CREATE FUNCTION redoubt.protect_step("table" regclass, "column" name, token_type regtype, batch integer, lock_timeout interval, build_indexes boolean, swap boolean)
  RETURNS text AS 'MODULE_PATHNAME', 'redoubt_protect_step' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_step(regclass, name, regtype, integer, interval, boolean, boolean) IS
  'the next piece of work of protect_column(), in one transaction, as the owner of the table: says how to go on';
CREATE FUNCTION redoubt.protect_undo_step("table" regclass, "column" name, lock_timeout interval) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_protect_undo_step' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_undo_step(regclass, name, interval) IS 'what protect_undo() does, in one transaction, as the owner of the table';
CREATE FUNCTION redoubt.check_protect("table" regclass, "column" name, token_type regtype, "values" integer DEFAULT 20)
  RETURNS TABLE (severity text, object text, what text, remedy text)
  AS 'MODULE_PATHNAME', 'redoubt_check_protect' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.check_protect(regclass, name, regtype, integer) IS 'what stands in the way of protecting a column, what changes, and which values the type cannot read: rows by primary key, never content';
CREATE FUNCTION redoubt.unprotect_column("table" regclass, "column" name) RETURNS void
  AS 'MODULE_PATHNAME', 'redoubt_unprotect_column' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.unprotect_column(regclass, name) IS 'makes a token column one of values again, under a lock; a reveal of each, by who calls and in the name of the owner';

CREATE FUNCTION redoubt.protect_inside("table" oid) RETURNS void
  AS 'MODULE_PATHNAME', 'redoubt_protect_inside' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_inside(oid) IS 'internal: 42501 but in a step of protect_column() on the table';
CREATE FUNCTION redoubt.protect_lock("table" oid, exclusive boolean) RETURNS void
  AS 'MODULE_PATHNAME', 'redoubt_protect_lock' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_lock(oid, boolean) IS 'internal, a step of protect_column(): locks the table, by its number';
CREATE FUNCTION redoubt.protect_begin("table" oid, source smallint, target smallint, token_type regtype, trigger oid) RETURNS void
  AS 'MODULE_PATHNAME', 'redoubt_protect_begin' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_begin(oid, smallint, smallint, regtype, oid) IS 'internal, a step of protect_column(): lets the trigger tokenize one column';
CREATE FUNCTION redoubt.protect_rows("table" oid, source smallint, batch integer) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_protect_rows' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_rows(oid, smallint, integer) IS 'internal, a step of protect_column(): fills the token column in some blocks, but for rows that somebody has locked, or compares tokens with values; charges a tokenization for each';
CREATE FUNCTION redoubt.protect_check("table" oid, source smallint) RETURNS boolean
  AS 'MODULE_PATHNAME', 'redoubt_protect_check' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_check(oid, smallint) IS 'internal, a step of protect_column(): locks the table; whether the columns may change places';
CREATE FUNCTION redoubt.protect_record(trigger oid, operation text) RETURNS void
  AS 'MODULE_PATHNAME', 'redoubt_protect_record' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_record(oid, text) IS 'internal, a step of protect_column(): tells the audit trail';

CREATE FUNCTION redoubt.standby_lag() RETURNS bigint
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  RETURN (SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)), 0)::bigint FROM pg_stat_replication AS r);
COMMENT ON FUNCTION redoubt.standby_lag() IS 'bytes of WAL that the slowest of the connected standbys and subscribers has still to apply';

CREATE VIEW redoubt.protections WITH (security_barrier) AS
  SELECT p.trigger, p.relation, p.source, p.target, p.token_type, p.step, p.next_block, p.blocks, p.rows_done, p.started_at, p.updated_at
  FROM redoubt.protection AS p JOIN pg_class AS c ON c.oid = p.relation JOIN pg_trigger AS g ON g.oid = p.trigger AND g.tgrelid = p.relation
  WHERE pg_has_role(c.relowner, 'USAGE')
     OR EXISTS (SELECT FROM pg_roles AS a
                WHERE a.rolname IN ('redoubt_admin', 'redoubt_auditor') AND pg_has_role(current_user, a.oid, 'USAGE'));
COMMENT ON VIEW redoubt.protections IS 'internal: the rows of redoubt.protection of one''s own tables, or all for redoubt_admin and redoubt_auditor';
GRANT SELECT ON redoubt.protections TO PUBLIC;

CREATE VIEW redoubt.progress WITH (security_barrier) AS
  SELECT p.relation::regclass AS "table", a.attname AS "column", p.token_type, p.step,
         CASE p.step WHEN 'fill' THEN 0 WHEN 'verify' THEN 50 ELSE 100 END
           + CASE WHEN p.step IN ('fill', 'verify') THEN round(50.0 * least(p.next_block, p.blocks) / greatest(p.blocks, 1), 1) ELSE 0 END AS percent,
         p.rows_done, t.attname AS token_column, p.started_at, p.updated_at
  FROM redoubt.protections AS p
  JOIN pg_attribute AS a ON a.attrelid = p.relation AND a.attnum = p.source
  JOIN pg_attribute AS t ON t.attrelid = p.relation AND t.attnum = p.target;
COMMENT ON VIEW redoubt.progress IS 'how far protect_column() is with each column; one''s own tables, or all for redoubt_admin and redoubt_auditor';
COMMENT ON COLUMN redoubt.progress.step IS 'fill, verify, swap: verified, so that indexes, constraints and the swap are left';
COMMENT ON COLUMN redoubt.progress.percent IS 'of filling and verifying together';
COMMENT ON COLUMN redoubt.progress.rows_done IS 'rows that were filled in batches';
GRANT SELECT ON redoubt.progress TO PUBLIC;

CREATE FUNCTION redoubt.may_tokenize(role oid, token_type regtype) RETURNS boolean
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    WITH RECURSIVE held (role) AS (
        SELECT may_tokenize.role
        UNION SELECT m.roleid FROM held AS h JOIN pg_auth_members AS m ON m.member = h.role)
    SELECT EXISTS (SELECT FROM redoubt.token_type AS t
                     JOIN pg_proc AS p ON p.oid = to_regprocedure(format('%s(%s)', t.typ, t.base)), aclexplode(p.proacl) AS a
                   WHERE t.typ = may_tokenize.token_type AND a.privilege_type = 'EXECUTE'
                     AND (a.grantee = 0 OR a.grantee IN (SELECT h.role FROM held AS h)));
  END;
COMMENT ON FUNCTION redoubt.may_tokenize(oid, regtype) IS 'internal: whether a role was granted to tokenize values of a type; superusers are not asked less';

-- The columns that can be protected only together: those that foreign keys compare.
CREATE FUNCTION redoubt.protect_group("table" regclass, "column" smallint) RETURNS TABLE (relation oid, source smallint)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    WITH RECURSIVE pair AS (
        SELECT f.conrelid, k.child, f.confrelid, k.parent
        FROM pg_constraint AS f, LATERAL unnest(f.conkey, f.confkey) AS k(child, parent) WHERE f.contype = 'f'),
      member (relation, source) AS (
        SELECT "table"::oid, "column"
        UNION SELECT CASE WHEN p.conrelid = m.relation AND p.child = m.source THEN p.confrelid ELSE p.conrelid END,
                     CASE WHEN p.conrelid = m.relation AND p.child = m.source THEN p.parent ELSE p.child END
        FROM member AS m JOIN pair AS p ON (p.conrelid = m.relation AND p.child = m.source) OR (p.confrelid = m.relation AND p.parent = m.source))
    SELECT m.relation, m.source FROM member AS m ORDER BY 1, 2;
  END;
COMMENT ON FUNCTION redoubt.protect_group(regclass, smallint) IS 'internal: the column and those that foreign keys tie to it';

-- An index anew, over the token column; or why that cannot be.
CREATE FUNCTION redoubt.protect_index(index oid, source smallint, target text, token_type regtype, OUT statement text, OUT problem text)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  i record;
  old text;
  keys text[] := '{}';
  included text[] := '{}';
  part text;
  predicate text;
  ordered boolean;
BEGIN
  SELECT x.*, c.relam, m.amname, c.reloptions, s.spcname, t.typ IS NOT NULL AND t.deterministic AS equal, t.method INTO i
  FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_am AS m ON m.oid = c.relam
    LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace LEFT JOIN redoubt.token_type AS t ON t.typ = protect_index.token_type
  WHERE x.indexrelid = index;
  SELECT quote_ident(a.attname) INTO old FROM pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attnum = source;
  ordered := i.amname = 'btree';
  FOR k IN 1 .. i.indnatts LOOP
    IF k > i.indnkeyatts THEN
      included := included || CASE WHEN i.indkey[k - 1] = source THEN quote_ident(target) ELSE pg_get_indexdef(index, k, true) END;
      CONTINUE;
    END IF;
    part := pg_get_indexdef(index, k, false);
    IF i.indkey[k - 1] = source THEN
      IF NOT i.equal THEN
        problem := 'values of this type have no equality to index';
      ELSIF NOT EXISTS (SELECT FROM pg_opclass AS o WHERE o.oid = i.indclass[k - 1]
                        AND ((i.amname IN ('btree', 'hash') AND o.opcdefault) OR (i.amname = 'gin' AND o.opcname = 'gin_trgm_ops' AND i.method = 'sealed'))) THEN
        problem := 'this kind of index has no counterpart for tokens';
      END IF;
      part := quote_ident(target);
    ELSIF i.indkey[k - 1] = 0 AND position(old IN part) > 0 THEN
      IF part IN (format('lower(%s)', old), format('lower((%s)::text)', old)) AND i.method = 'sealed' AND i.equal AND i.amname IN ('btree', 'hash') THEN
        part := format('lower(%I)', target);
      ELSIF part IN (format('upper(%s)', old), format('upper((%s)::text)', old)) AND i.method = 'sealed' AND i.equal AND i.amname IN ('btree', 'hash') THEN
        part := format('upper(%I)', target);
      ELSE
        problem := 'an index on such an expression would hold values in the clear';
      END IF;
    ELSE
      IF i.indkey[k - 1] = 0 THEN
        part := format('(%s)', part);
      END IF;
      part := part || coalesce((SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation AS l JOIN pg_namespace AS n ON n.oid = l.collnamespace
                                WHERE l.oid = i.indcollation[k - 1]), '')
                   || (SELECT format(' %I.%I', n.nspname, o.opcname) FROM pg_opclass AS o JOIN pg_namespace AS n ON n.oid = o.opcnamespace WHERE o.oid = i.indclass[k - 1]);
    END IF;
    IF ordered THEN
      part := part || CASE WHEN i.indoption[k - 1] & 1 = 1 THEN ' DESC' ELSE '' END
                   || CASE WHEN i.indoption[k - 1] & 2 = 2 THEN ' NULLS FIRST' ELSE ' NULLS LAST' END;
    END IF;
    keys := keys || part;
  END LOOP;
  predicate := pg_get_expr(i.indpred, i.indrelid);
  IF position(old IN predicate) > 0 THEN
    IF predicate = format('(%s IS NOT NULL)', old) THEN
      predicate := format('(%I IS NOT NULL)', target);
    ELSE
      problem := 'the condition of the index looks at the column';
    END IF;
  END IF;
  IF i.indisexclusion THEN
    problem := 'an exclusion constraint has no counterpart for tokens';
  ELSIF i.indisreplident THEN
    problem := 'the table''s replica identity is this index';
  ELSIF EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = index AND a.attoptions IS NOT NULL) THEN
    problem := 'an index with options of its operator classes has no counterpart for tokens';
  END IF;
  statement := format('CREATE %sINDEX CONCURRENTLY %I ON %s USING %I (%s)', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, 'redoubt_protect_' || index,
                      i.indrelid::regclass, i.amname, array_to_string(keys, ', '))
    || CASE WHEN cardinality(included) > 0 THEN format(' INCLUDE (%s)', array_to_string(included, ', ')) ELSE '' END
    || CASE WHEN i.indnullsnotdistinct THEN ' NULLS NOT DISTINCT' ELSE '' END
    || CASE WHEN i.reloptions IS NOT NULL THEN (SELECT format(' WITH (%s)', string_agg(format('%I = %L', o.option_name, o.option_value), ', ')) FROM pg_options_to_table(i.reloptions) AS o) ELSE '' END
    || CASE WHEN i.spcname IS NOT NULL THEN format(' TABLESPACE %I', i.spcname) ELSE '' END
    || CASE WHEN predicate IS NOT NULL THEN format(' WHERE %s', predicate) ELSE '' END;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_index(oid, smallint, text, regtype) IS 'internal: the statement that makes an index anew over a token column, or what stands in the way';

CREATE FUNCTION redoubt.protect_grants(object text, "column" text, acl aclitem[]) RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    SELECT format('GRANT %s%s ON %s TO %s%s', a.privilege_type, coalesce(' (' || "column" || ')', ''), object,
                  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM aclexplode(acl) AS a;
  END;
COMMENT ON FUNCTION redoubt.protect_grants(text, text, aclitem[]) IS 'internal: the statements that grant what an access list says';

/* protect_parts lists what hangs on a column, in one place: what stands in the way of protecting it (severity error), what
 * wants a look (warning, notice), and what is taken away at the swap (remove, in the order of turn) and made anew over the
 * token column, which has the column's name by then (make, in the other order).
 */
CREATE FUNCTION redoubt.protect_parts("table" regclass, "column" smallint, token_type regtype)
  RETURNS TABLE (severity text, object text, what text, remedy text, turn integer, remove text, make text)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_column
DECLARE
  tab constant oid := "table"::oid;
  num constant smallint := "column";
  wanted constant regtype := token_type;
  tabname constant text := "table"::text;
  mentions constant text := ':varattno ' || num || ' ';
  rel pg_class;
  col pg_attribute;
  base_type oid;
  t redoubt.token_type;
  item record;
  expression text;
BEGIN
  SELECT * INTO rel FROM pg_class AS c WHERE c.oid = tab;
  SELECT * INTO col FROM pg_attribute AS a WHERE a.attrelid = tab AND a.attnum = num;
  SELECT * INTO t FROM redoubt.token_type AS k WHERE k.typ = wanted;
  object := format('column %I of %s', col.attname, tabname);
  make := NULL;

  -- The table and the column.
  IF rel.relkind <> 'r' OR rel.relam <> (SELECT m.oid FROM pg_am AS m WHERE m.amname = 'heap') THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it is not an ordinary table', 'For a partitioned table use ALTER TABLE ... ALTER COLUMN ... TYPE.', 0, NULL, NULL;
    RETURN;
  ELSIF rel.relispartition OR EXISTS (SELECT FROM pg_inherits AS h WHERE tab IN (h.inhrelid, h.inhparent)) THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it shares its columns with a parent, children or partitions', 'Use ALTER TABLE ... ALTER COLUMN ... TYPE on the parent.', 0, NULL, NULL;
  ELSIF rel.relpersistence = 't' THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it is temporary', 'Use ALTER TABLE ... ALTER COLUMN ... TYPE.', 0, NULL, NULL;
  END IF;
  IF EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = tab) THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it has rules', 'Drop them for the time.', 0, NULL, NULL;
  END IF;
  IF rel.relforcerowsecurity THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'its policies bind its owner, too, who has to see every row', format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY;', tabname), 0, NULL, NULL;
  END IF;
  IF EXISTS (SELECT FROM redoubt.token_type AS k WHERE k.typ = col.atttypid) THEN
    RETURN QUERY SELECT 'error', object, 'it is a token column already', NULL::text, 0, NULL, NULL;
  ELSIF NOT (CASE t.base WHEN 'bytea' THEN col.atttypid = 'bytea'::regtype WHEN 'bigint' THEN col.atttypid IN ('integer'::regtype, 'bigint'::regtype)
            ELSE col.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype) END) THEN
    RETURN QUERY SELECT 'error', object, format('its type is %s, the token type is of %s', format_type(col.atttypid, col.atttypmod), t.base),
                        'Change it to the type that the token type takes, or take another token type.', 0, NULL, NULL;
  ELSIF col.atttypmod > 0 THEN
    RETURN QUERY SELECT 'notice', object, format('the length that %s allows is not kept', format_type(col.atttypid, col.atttypmod)), NULL::text, 0, NULL, NULL;
  END IF;
  IF col.attgenerated <> '' OR col.attidentity <> '' THEN
    RETURN QUERY SELECT 'error', object, 'its values are generated', 'Drop the expression: ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION.', 0, NULL, NULL;
  END IF;

  -- Who may: all is done in the name of the owner.
  IF rel.relowner <> (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user) THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it has another owner than the table that a foreign key ties it to', format('ALTER TABLE %s OWNER TO %I;', tabname, current_user), 0, NULL, NULL;
  ELSIF EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = tab) AND NOT has_schema_privilege(rel.relnamespace, 'CREATE') THEN
    RETURN QUERY SELECT 'error', 'schema ' || rel.relnamespace::regnamespace::text, format('%I may not make indexes in it', current_user),
                        format('GRANT CREATE ON SCHEMA %s TO %I;', rel.relnamespace::regnamespace, current_user), 0, NULL, NULL;
  END IF;
  IF NOT redoubt.may_tokenize(rel.relowner, wanted) THEN
    RETURN QUERY SELECT 'error', 'role ' || quote_ident(pg_get_userbyid(rel.relowner)), format('it may not tokenize values of %s', wanted),
                        format('GRANT EXECUTE ON FUNCTION %s(%s) TO %I;', wanted, t.base, pg_get_userbyid(rel.relowner)), 0, NULL, NULL;
  END IF;
  IF EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = tab AND k.conbin::text ~ ':varattno 0 ')
     OR EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = tab AND concat(x.indexprs, x.indpred) ~ ':varattno 0 ')
     OR EXISTS (SELECT FROM pg_attrdef AS d WHERE d.adrelid = tab AND d.adbin::text ~ ':varattno 0 ') THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'a constraint, an index or a generated column looks at whole rows', 'Drop it for the time.', 0, NULL, NULL;
  END IF;
  -- What is made anew is looked up in the schema of the token type.
  RETURN QUERY SELECT 'error', 'schema ' || n.oid::regnamespace::text, format('%s may make objects in it, which views and policies would meet', CASE m.role WHEN 0 THEN 'everybody' ELSE quote_ident(pg_get_userbyid(m.role)) END),
                      'Take a token type of a schema in which nobody else may make any.', 0, NULL::text, NULL::text
  FROM pg_type AS y JOIN pg_namespace AS n ON n.oid = y.typnamespace,
    LATERAL (SELECT n.nspowner UNION SELECT a.grantee FROM aclexplode(n.nspacl) AS a WHERE a.privilege_type = 'CREATE') AS m(role)
  WHERE y.oid = wanted AND m.role <> rel.relowner
    AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = m.role AND (r.rolsuper OR r.rolname IN ('pg_database_owner', 'redoubt_admin')));
  -- No other trigger may change a value after ours has seen it.
  RETURN QUERY SELECT 'error', format('trigger %I', g.tgname), 'it fires after the one of protect_column(), and could change the value', format('ALTER TRIGGER %I ON %s RENAME TO %I;', g.tgname, tabname, 'a_' || g.oid), 0, NULL::text, NULL::text
  FROM pg_trigger AS g
  WHERE g.tgrelid = tab AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0 AND g.tgenabled <> 'D' AND g.tgname > ('~redoubt_protect_' || num)::name
    AND g.tgfoid <> 'redoubt.keep_token()'::regprocedure;
  RETURN QUERY SELECT 'error', format('trigger %I', g.tgname), 'a dump brought it along from a table that was being protected', format('DROP TRIGGER %I ON %s;  Drop the token column, too.', g.tgname, tabname), 0, NULL::text, NULL::text
  FROM pg_trigger AS g
  WHERE g.tgrelid = tab AND g.tgfoid = 'redoubt.keep_token()'::regprocedure AND NOT EXISTS (SELECT FROM redoubt.protections AS s WHERE s.trigger = g.oid);
  RETURN QUERY SELECT 'warning', CASE w.role WHEN 0 THEN 'PUBLIC' ELSE 'role ' || quote_ident(pg_get_userbyid(w.role)) END,
                      format('writes the table, and after the swap may not write values of %s', wanted),
                      format('GRANT EXECUTE ON FUNCTION %s(%s) TO %s;', wanted, t.base, CASE w.role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(w.role)) END), 0, NULL, NULL
  FROM (SELECT a.grantee FROM aclexplode(coalesce(rel.relacl, acldefault('r', rel.relowner))) AS a WHERE a.privilege_type IN ('INSERT', 'UPDATE')
        UNION SELECT a.grantee FROM aclexplode(col.attacl) AS a WHERE a.privilege_type IN ('INSERT', 'UPDATE')) AS w(role)
  WHERE NOT redoubt.may_tokenize(w.role, wanted);

  -- Default, NOT NULL and grants of the column.
  SELECT pg_get_expr(d.adbin, d.adrelid) INTO expression FROM pg_attrdef AS d WHERE d.adrelid = tab AND d.adnum = num;
  IF expression IS NOT NULL AND col.attgenerated = '' THEN
    RETURN QUERY SELECT 'notice', object, 'its default becomes one of the token type', NULL::text, 0, NULL,
      format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', tabname, col.attname,
             coalesce(substring(expression FROM $re$^('(?:[^']|'')*')::(?:pg_catalog\.)?(?:text|character varying|bpchar|character)$re$), expression));
  END IF;
  FOR item IN SELECT g FROM redoubt.protect_grants(tabname, quote_ident(col.attname), col.attacl) AS g LOOP
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, item.g;
  END LOOP;
  IF col_description(tab, num) IS NOT NULL THEN
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, format('COMMENT ON COLUMN %s.%I IS %L', tabname, col.attname, col_description(tab, num));
  END IF;
  FOR item IN SELECT l.provider, l.label FROM pg_seclabel AS l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = tab AND l.objsubid = num AND l.provider <> 'redoubt' LOOP
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, format('SECURITY LABEL FOR %I ON COLUMN %s.%I IS %L', item.provider, tabname, col.attname, item.label);
  END LOOP;

  -- Constraints.
  FOR item IN SELECT k.oid, k.conname, k.contype, k.conrelid, k.confrelid, k.confdelsetcols, k.conbin, obj_description(k.oid, 'pg_constraint') AS remark
              FROM pg_constraint AS k WHERE (k.conrelid = tab AND k.contype IN ('c', 'f') AND num = ANY (k.conkey))
                                         OR (k.confrelid = tab AND k.contype = 'f' AND num = ANY (k.confkey)) LOOP
    IF item.contype = 'c' THEN
      RETURN QUERY SELECT 'error', format('constraint %I of %s', item.conname, tabname), 'a CHECK sees the token, not the value',
                          format('ALTER TABLE %s DROP CONSTRAINT %I;', tabname, item.conname), 0, NULL, NULL;
    ELSIF item.confdelsetcols IS NOT NULL THEN
      RETURN QUERY SELECT 'error', format('constraint %I of %s', item.conname, item.conrelid::regclass), 'ON DELETE SET with a list of columns is not made anew',
                          format('ALTER TABLE %s DROP CONSTRAINT %I;', item.conrelid::regclass, item.conname), 0, NULL, NULL;
    ELSIF NOT t.deterministic THEN
      RETURN QUERY SELECT 'error', format('constraint %I of %s', item.conname, item.conrelid::regclass), 'values of this type have no equality to compare by', 'Take a deterministic type.', 0, NULL, NULL;
    ELSIF item.conrelid = tab THEN
      RETURN QUERY SELECT 'notice', format('constraint %I of %s', item.conname, tabname), format('both ends are protected together, with the column of %s', item.confrelid::regclass), NULL::text,
                          20, format('ALTER TABLE %s DROP CONSTRAINT %I', tabname, item.conname), format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', tabname, 'redoubt_protect_' || item.oid, item.conname);
      IF item.remark IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 19, NULL, format('COMMENT ON CONSTRAINT %I ON %s IS %L', item.conname, tabname, item.remark);
      END IF;
    END IF;
  END LOOP;

  -- Indexes.  Old ones go with the old column.
  FOR item IN SELECT x.indexrelid, c.relname, p.statement, p.problem, k.conname, k.contype, k.condeferrable, k.condeferred, x.indisclustered, x.indisunique,
                     obj_description(c.oid, 'pg_class') AS remark, obj_description(k.oid, 'pg_constraint') AS constraint_remark
              FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid LEFT JOIN pg_constraint AS k ON k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'),
                LATERAL redoubt.protect_index(x.indexrelid, num, 'redoubt_protect_' || num, wanted) AS p
              WHERE x.indrelid = tab AND (num = ANY (x.indkey) OR x.indexprs::text ~ mentions OR x.indpred::text ~ mentions) LOOP
    IF item.problem IS NOT NULL THEN
      RETURN QUERY SELECT 'error', format('index %I', item.relname), item.problem, CASE WHEN item.conname IS NULL THEN format('DROP INDEX %s;', item.indexrelid::regclass)
                          ELSE format('ALTER TABLE %s DROP CONSTRAINT %I;', tabname, item.conname) END, 0, NULL, NULL;
    ELSIF item.conname IS NOT NULL THEN
      RETURN QUERY SELECT 'notice', format('constraint %I of %s', item.conname, tabname), 'is made anew; values that differ in spelling only are equal then', NULL::text, 10, NULL,
        format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I%s%s', tabname, item.conname, CASE item.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END,
               'redoubt_protect_' || item.indexrelid, CASE WHEN item.condeferrable THEN ' DEFERRABLE' ELSE '' END, CASE WHEN item.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END);
      IF item.constraint_remark IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 9, NULL, format('COMMENT ON CONSTRAINT %I ON %s IS %L', item.conname, tabname, item.constraint_remark);
      END IF;
    ELSE
      RETURN QUERY SELECT 'notice', format('index %I', item.relname), 'is made anew' || CASE WHEN item.indisunique THEN '; values that differ in spelling only are equal then' ELSE '' END, NULL::text, 10, NULL,
        format('ALTER INDEX %s.%I RENAME TO %I', rel.relnamespace::regnamespace, 'redoubt_protect_' || item.indexrelid, item.relname);
    END IF;
    IF item.remark IS NOT NULL THEN
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 9, NULL, format('COMMENT ON INDEX %s.%I IS %L', rel.relnamespace::regnamespace, item.relname, item.remark);
    END IF;
  END LOOP;

  -- Triggers, policies, statistics.
  FOR item IN SELECT g.oid, g.tgname, g.tgenabled, g.tgqual, g.tgtype, num = ANY (g.tgattr) AS of_column, pg_get_triggerdef(g.oid) AS definition, obj_description(g.oid, 'pg_trigger') AS remark, g.tgfoid
              FROM pg_trigger AS g WHERE g.tgrelid = tab AND NOT g.tgisinternal AND g.tgfoid <> 'redoubt.keep_token()'::regprocedure LOOP
    IF (item.of_column OR item.tgqual::text ~ mentions) AND NOT has_function_privilege(item.tgfoid, 'EXECUTE') THEN
      RETURN QUERY SELECT 'error', format('trigger %I', item.tgname), format('%I may not make a trigger of %s', current_user, item.tgfoid::regprocedure), format('GRANT EXECUTE ON FUNCTION %s TO %I;', item.tgfoid::regprocedure, current_user), 0, NULL, NULL;
    ELSIF item.of_column OR item.tgqual::text ~ mentions THEN
      RETURN QUERY SELECT 'notice', format('trigger %I', item.tgname), 'is made anew; its condition sees the token', NULL::text, 30,
                          format('DROP TRIGGER %I ON %s', item.tgname, tabname), item.definition;
      IF item.tgenabled <> 'O' THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 29, NULL, format('ALTER TABLE %s %s TRIGGER %I', tabname,
          CASE item.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, item.tgname);
      END IF;
      IF item.remark IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 29, NULL, format('COMMENT ON TRIGGER %I ON %s IS %L', item.tgname, tabname, item.remark);
      END IF;
    END IF;
    IF item.tgtype & 1 = 1 THEN
      RETURN QUERY SELECT 'warning', format('trigger %I', item.tgname), format('%s sees the token in the column after the swap', item.tgfoid::regprocedure), 'Read the function.', 0, NULL, NULL;
    END IF;
  END LOOP;
  RETURN QUERY SELECT 'error', l.object, format('it hands the row, and so the token, to %s, which is not trusted', l.function), l.statement || ';', 0, NULL::text, NULL::text
  FROM redoubt.check_label("table") AS l
  WHERE l.kind = 'trigger' OR (l.kind = 'policy' AND EXISTS (SELECT FROM pg_policy AS p JOIN pg_depend AS d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                                 WHERE p.polrelid = tab AND p.polname = l.object AND d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND d.refobjsubid = num));
  FOR item IN SELECT p.polname, p.polcmd, p.polpermissive, p.polroles, pg_get_expr(p.polqual, tab) AS qual, pg_get_expr(p.polwithcheck, tab) AS with_check, obj_description(p.oid, 'pg_policy') AS remark
              FROM pg_policy AS p WHERE p.polrelid = tab AND EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND d.refobjsubid = num) LOOP
    RETURN QUERY SELECT 'warning', format('policy %I', item.polname), 'is made anew; it compares tokens, in the name of who queries', 'See that it says what it should.', 30,
      format('DROP POLICY %I ON %s', item.polname, tabname),
      format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', item.polname, tabname, CASE WHEN item.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
             CASE item.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
             (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(item.polroles) AS r),
             coalesce(' USING (' || item.qual || ')', ''), coalesce(' WITH CHECK (' || item.with_check || ')', ''));
    IF item.remark IS NOT NULL THEN
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 29, NULL, format('COMMENT ON POLICY %I ON %s IS %L', item.polname, tabname, item.remark);
    END IF;
  END LOOP;
  FOR item IN SELECT s.oid, format('%s.%I', s.stxnamespace::regnamespace, s.stxname) AS name, s.stxexprs::text ~ mentions AS in_expression, pg_get_statisticsobjdef(s.oid) AS definition
              FROM pg_statistic_ext AS s WHERE s.stxrelid = tab AND (num = ANY (s.stxkeys) OR s.stxexprs::text ~ mentions) LOOP
    IF NOT has_schema_privilege((SELECT x.stxnamespace FROM pg_statistic_ext AS x WHERE x.oid = item.oid), 'CREATE') THEN
      RETURN QUERY SELECT 'error', 'statistics ' || item.name, format('%I may not make statistics in its schema', current_user), format('DROP STATISTICS %s;', item.name), 0, NULL, NULL;
    ELSIF item.in_expression OR NOT t.deterministic THEN
      RETURN QUERY SELECT 'error', 'statistics ' || item.name, 'they would hold values in the clear, or have nothing to compare by', format('DROP STATISTICS %s;', item.name), 0, NULL, NULL;
    ELSE
      RETURN QUERY SELECT 'notice', 'statistics ' || item.name, 'are made anew', NULL::text, 30, format('DROP STATISTICS %s', item.name), item.definition;
    END IF;
  END LOOP;

  -- Views on it, and views on those.
  FOR item IN
    WITH RECURSIVE above (relid, level) AS (
      SELECT DISTINCT r.ev_class, 1 FROM pg_depend AS d JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND d.refobjsubid IN (0, num) AND r.ev_class <> tab
        AND EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = d.classid AND e.objid = d.objid AND e.refclassid = d.refclassid AND e.refobjid = tab AND e.refobjsubid = num)
      UNION
      SELECT r.ev_class, a.level + 1 FROM above AS a
        JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.relid AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite AS r ON r.oid = d.objid WHERE r.ev_class <> a.relid AND a.level < 100)
    SELECT c.*, max(a.level) AS level, pg_get_viewdef(c.oid) AS definition, format('%s.%I', c.relnamespace::regnamespace, c.relname) AS name, obj_description(c.oid, 'pg_class') AS remark
    FROM above AS a JOIN pg_class AS c ON c.oid = a.relid GROUP BY c.oid LOOP
    IF item.relkind <> 'v' THEN
      RETURN QUERY SELECT 'error', format('relation %s', item.name), CASE item.relkind WHEN 'm' THEN 'a materialised view of the column holds its values' ELSE 'a rule of it uses the column' END,
                          'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSIF item.relowner <> rel.relowner THEN
      RETURN QUERY SELECT 'error', 'view ' || item.name, 'it has another owner than the table', 'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSIF NOT has_schema_privilege(item.relnamespace, 'CREATE') THEN
      RETURN QUERY SELECT 'error', 'view ' || item.name, format('%I may not make views in its schema', current_user), 'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSIF EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = item.oid) OR EXISTS (SELECT FROM pg_attrdef AS d WHERE d.adrelid = item.oid)
          OR EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = item.oid AND r.rulename <> '_RETURN') OR EXISTS (SELECT FROM pg_seclabel AS l WHERE l.objoid = item.oid AND l.classoid = 'pg_class'::regclass)
          OR EXISTS (SELECT FROM pg_depend AS d WHERE d.refobjid IN (item.oid, item.reltype, (SELECT y.typarray FROM pg_type AS y WHERE y.oid = item.reltype)) AND d.deptype = 'n'
                     AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass)
                     AND NOT (d.classid = 'pg_rewrite'::regclass AND (SELECT k.relkind FROM pg_rewrite AS r JOIN pg_class AS k ON k.oid = r.ev_class WHERE r.oid = d.objid) = 'v')) THEN
      RETURN QUERY SELECT 'error', 'view ' || item.name, 'it has triggers, rules, defaults or labels, or something but a view uses it', 'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSE
      RETURN QUERY SELECT 'warning', 'view ' || item.name, 'is made anew; it shows the token column', 'See that it says what it should.', 100 - item.level, format('DROP VIEW %s', item.name),
        format('CREATE VIEW %s%s AS %s', item.name, coalesce(' WITH (' || array_to_string(item.reloptions, ', ') || ')', ''), rtrim(item.definition, ';'));
      -- In the reverse order of turn: these come after the view was made, and before those above it are.
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL,
                          format('REVOKE ALL ON %s FROM %s', item.name, CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END)
        FROM (SELECT DISTINCT x.grantee FROM pg_default_acl AS d, aclexplode(d.defaclacl) AS x WHERE d.defaclobjtype = 'r') AS e WHERE e.grantee <> item.relowner;
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL, g FROM redoubt.protect_grants(item.name, NULL, item.relacl) AS g;
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL, g
        FROM pg_attribute AS v, LATERAL redoubt.protect_grants(item.name, quote_ident(v.attname), v.attacl) AS g WHERE v.attrelid = item.oid AND v.attacl IS NOT NULL;
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL, format('COMMENT ON COLUMN %s.%I IS %L', item.name, v.attname, col_description(item.oid, v.attnum))
        FROM pg_attribute AS v WHERE v.attrelid = item.oid AND v.attnum > 0 AND col_description(item.oid, v.attnum) IS NOT NULL;
      IF item.remark IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL, format('COMMENT ON VIEW %s IS %L', item.name, item.remark);
      END IF;
    END IF;
  END LOOP;

  -- Publications.
  FOR item IN SELECT p.pubname, pr.prqual::text ~ mentions AS in_condition, num = ANY (pr.prattrs) AS in_list
              FROM pg_publication_rel AS pr JOIN pg_publication AS p ON p.oid = pr.prpubid WHERE pr.prrelid = tab
              UNION SELECT p.pubname, false, false FROM pg_publication AS p WHERE p.puballtables
              UNION SELECT p.pubname, false, false FROM pg_publication AS p JOIN pg_publication_namespace AS n ON n.pnpubid = p.oid WHERE n.pnnspid = rel.relnamespace LOOP
    IF item.in_condition OR item.in_list THEN
      RETURN QUERY SELECT 'error', format('publication %I', item.pubname), 'it names the column', 'Drop the table from it, and add it again afterwards.', 0, NULL, NULL;
    ELSE
      RETURN QUERY SELECT 'warning', format('publication %I', item.pubname), format('subscribers need a column %I from the beginning, and get tokens from the swap on', 'redoubt_protect_' || num), 'Add it there, of the token type or text, and rename it at the swap.', 0, NULL, NULL;
    END IF;
  END LOOP;

  -- What is left: nothing above knows it, so PostgreSQL would refuse to drop the old column.
  RETURN QUERY SELECT DISTINCT 'error', pg_describe_object(d.classid, d.objid, d.objsubid), 'it depends on the column', 'Drop it, and make it anew afterwards.', 0, NULL::text, NULL::text
  FROM pg_depend AS d
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND d.refobjsubid = num
    AND (d.classid NOT IN ('pg_constraint'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_statistic_ext'::regclass, 'pg_publication_rel'::regclass, 'pg_rewrite'::regclass, 'pg_class'::regclass, 'pg_attrdef'::regclass)
         OR (d.classid = 'pg_class'::regclass AND (SELECT c.relkind FROM pg_class AS c WHERE c.oid = d.objid) <> 'i'
             AND NOT EXISTS (SELECT FROM redoubt.protections AS s WHERE s.relation = tab AND s.source = num AND d.objid = tab AND d.objsubid = s.target))
         OR (d.classid = 'pg_attrdef'::regclass AND d.objid NOT IN (SELECT f.oid FROM pg_attrdef AS f WHERE f.adrelid = tab AND f.adnum = num))
         OR (d.classid = 'pg_rewrite'::regclass AND (SELECT r.ev_class FROM pg_rewrite AS r WHERE r.oid = d.objid) = tab));
  RETURN QUERY SELECT 'notice', object, 'it will be the last of the table''s columns: SELECT * and INSERT without a list of columns meet it there', 'Name columns, or put a view in the place of the table.', 0, NULL, NULL;
  RETURN QUERY SELECT 'notice', object, 'its old values stay in the table''s file, in WAL and in backups', 'redoubt.find_plaintext() lists where.', 0, NULL, NULL;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_parts(regclass, smallint, regtype) IS 'internal: what hangs on a column, what stands in the way of protecting it, and what is taken away and made anew at the swap';

CREATE FUNCTION redoubt.protect_column_number("table" regclass, "column" name) RETURNS smallint
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  num smallint;
BEGIN
  SELECT a.attnum INTO num FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = "column" AND a.attnum > 0 AND NOT a.attisdropped;
  IF num IS NULL THEN
    RAISE EXCEPTION 'column % of table % does not exist', quote_ident("column"), "table" USING ERRCODE = '42703';
  END IF;
  RETURN num;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_column_number(regclass, name) IS 'internal: the number of a column; 42703';

-- The primary key of a table as an SQL expression of one text, for naming rows; where the key is the column itself, or is
-- protected, the row's place.
CREATE FUNCTION redoubt.protect_row_name("table" regclass, "column" smallint) RETURNS text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    SELECT coalesce((SELECT 'concat_ws('', '', ' || string_agg(format('%L || ROW(t.%I)::text', a.attname || ' = ', a.attname), ', ' ORDER BY k.place) || ')'
                     FROM pg_index AS x, unnest(x.indkey) WITH ORDINALITY AS k(num, place), pg_attribute AS a
                     WHERE x.indrelid = "table" AND x.indisprimary AND a.attrelid = x.indrelid AND a.attnum = k.num AND k.place <= x.indnkeyatts
                     HAVING bool_and(a.attnum <> "column" AND a.atttypid NOT IN (SELECT t.typ FROM redoubt.token_type AS t)
                                     AND NOT EXISTS (SELECT FROM pg_seclabel AS l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = x.indrelid
                                                     AND l.objsubid = a.attnum AND l.provider = 'redoubt'))),
                    '''ctid '' || t.ctid::text');
  END;
COMMENT ON FUNCTION redoubt.protect_row_name(regclass, smallint) IS 'internal: an expression that names a row without showing a value';

CREATE FUNCTION redoubt.protect_findings("table" regclass, "column" name, token_type regtype, "values" integer)
  RETURNS TABLE (severity text, object text, what text, remedy text)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $body$
#variable_conflict use_column
DECLARE
  num smallint := redoubt.protect_column_number("table", "column");
  wanted constant regtype := token_type;
  t redoubt.token_type;
  member record;
  item record;
  refused boolean;
BEGIN
  PERFORM redoubt.protect_inside("table");
  SELECT * INTO t FROM redoubt.token_type AS k WHERE k.typ = wanted;
  IF t.typ IS NULL THEN
    RAISE EXCEPTION '% is not a token type', format_type(wanted, NULL) USING ERRCODE = '42809', HINT = 'redoubt.token_types lists them.';
  END IF;
  RETURN QUERY
    SELECT p.severity, p.object, p.what, p.remedy
    FROM redoubt.protect_group("table", num) AS g, LATERAL redoubt.protect_parts(g.relation, g.source, wanted) AS p
    WHERE p.severity IS NOT NULL
    ORDER BY array_position(ARRAY['error', 'warning', 'notice'], p.severity), p.object COLLATE "C", p.what COLLATE "C";
  IF t.base = 'bytea' THEN
    RETURN;
  END IF;
  -- The values, by row and reason.
  FOR member IN SELECT g.relation::regclass AS tab, g.source AS num, a.attname FROM redoubt.protect_group("table", num) AS g
                JOIN pg_attribute AS a ON a.attrelid = g.relation AND a.attnum = g.source JOIN pg_class AS c ON c.oid = g.relation AND c.relkind = 'r'
                  AND c.relowner = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user) AND NOT c.relforcerowsecurity
                WHERE a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'integer'::regtype, 'bigint'::regtype) LOOP
    FOR item IN EXECUTE format('SELECT v.problem, count(*) AS rows, (array_agg(v.place ORDER BY v.place))[1:%1$s] AS places FROM '
                               '(SELECT CASE WHEN %2$L AND starts_with(t.%3$I::text, ''tok_'') THEN ''it begins as a token does, and would be taken for one'' '
                               'ELSE redoubt.check_value(t.%3$I::text, %4$L::regtype) END AS problem, %5$s AS place FROM ONLY %6$s AS t WHERE t.%3$I IS NOT NULL) AS v '
                               'WHERE v.problem IS NOT NULL GROUP BY v.problem ORDER BY v.problem',
                               greatest("values", 0), t.format IS NULL, member.attname, wanted, redoubt.protect_row_name(member.tab, member.num), member.tab) LOOP
      refused := t.invalid = 'refuse' OR starts_with(item.problem, 'it begins');
      RETURN QUERY SELECT CASE WHEN refused THEN 'error' ELSE 'warning' END, format('column %I of %s', member.attname, member.tab), format('%s values: %s', item.rows, item.problem),
                          CASE WHEN refused THEN 'Change them first.' ELSE 'They are kept as they were typed, and are equal to themselves alone.' END;
      RETURN QUERY SELECT CASE WHEN refused THEN 'error' ELSE 'warning' END, format('row of %s', member.tab), place, item.problem FROM unnest(item.places) AS place;
    END LOOP;
  END LOOP;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_findings(regclass, name, regtype, integer) IS 'internal, a step of protect_column(): what check_protect() lists';

CREATE FUNCTION redoubt.protect_mapped(relation oid, columns smallint[]) RETURNS smallint[]
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  RETURN (SELECT array_agg(coalesce(s.target, u.num) ORDER BY u.place)
          FROM unnest(protect_mapped.columns) WITH ORDINALITY AS u(num, place) LEFT JOIN redoubt.protections AS s ON s.relation = protect_mapped.relation AND s.source = u.num);
COMMENT ON FUNCTION redoubt.protect_mapped(oid, smallint[]) IS 'internal: columns of a table, with token columns in the place of those that are being protected';

-- What is still to be made over the token columns of a group before the swap, in order.
CREATE FUNCTION redoubt.protect_pending("table" regclass, "column" smallint) RETURNS TABLE (kind text, statement text)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    WITH member AS (
        SELECT p.relation, p.source, p.target, p.token_type, a.attname AS target_name, s.attname AS source_name, s.attnotnull, c.relnamespace
        FROM redoubt.protect_group("table", "column") AS g JOIN redoubt.protections AS p ON p.relation = g.relation AND p.source = g.source
          JOIN pg_attribute AS a ON a.attrelid = p.relation AND a.attnum = p.target JOIN pg_attribute AS s ON s.attrelid = p.relation AND s.attnum = p.source
          JOIN pg_class AS c ON c.oid = p.relation),
      old_index AS (
        SELECT m.*, x.indexrelid, n.oid AS made, y.indisvalid
        FROM member AS m JOIN pg_index AS x ON x.indrelid = m.relation
          AND (m.source = ANY (x.indkey) OR x.indexprs::text ~ (':varattno ' || m.source || ' ') OR x.indpred::text ~ (':varattno ' || m.source || ' '))
          LEFT JOIN pg_class AS n ON n.relnamespace = m.relnamespace AND n.relname = 'redoubt_protect_' || x.indexrelid
          LEFT JOIN pg_index AS y ON y.indexrelid = n.oid AND y.indrelid = m.relation AND y.indisunique = x.indisunique AND y.indimmediate
            AND y.indnkeyatts = x.indnkeyatts AND y.indoption::text = x.indoption::text AND y.indnullsnotdistinct = x.indnullsnotdistinct
            AND y.indkey::text = (SELECT string_agg((CASE WHEN u.num = 0 THEN 0 ELSE coalesce(o.target, u.num) END)::text, ' ' ORDER BY u.place)
                                  FROM unnest(x.indkey) WITH ORDINALITY AS u(num, place)
                                    LEFT JOIN member AS o ON o.relation = m.relation AND o.source = u.num AND o.source = m.source)
            AND regexp_replace(replace(pg_get_expr(y.indexprs, y.indrelid), quote_ident(m.target_name), quote_ident(m.source_name)), '::text|redoubt\.|_fingerprint|[()]', '', 'g')
                IS NOT DISTINCT FROM regexp_replace(pg_get_expr(x.indexprs, x.indrelid), '::text|redoubt\.|_fingerprint|[()]', '', 'g')
            AND replace(pg_get_expr(y.indpred, y.indrelid), quote_ident(m.target_name), quote_ident(m.source_name)) IS NOT DISTINCT FROM pg_get_expr(x.indpred, x.indrelid)),
      old_key AS (
        SELECT k.oid AS conoid, k.*, n.oid AS made, n.convalidated AS made_valid
        FROM pg_constraint AS k LEFT JOIN pg_constraint AS n ON n.conrelid = k.conrelid AND n.conname = 'redoubt_protect_' || k.oid AND n.contype = 'f' AND n.confrelid = k.confrelid
          AND n.conkey = redoubt.protect_mapped(k.conrelid, k.conkey) AND n.confkey = redoubt.protect_mapped(k.confrelid, k.confkey)
          AND (n.confupdtype, n.confdeltype, n.confmatchtype, n.condeferrable, n.condeferred) = (k.confupdtype, k.confdeltype, k.confmatchtype, k.condeferrable, k.condeferred)
        WHERE k.contype = 'f' AND EXISTS (SELECT FROM member AS m WHERE m.relation = k.conrelid AND m.source = ANY (k.conkey)))
    SELECT w.kind, w.statement FROM (
      SELECT 1 AS turn, 'index' AS kind, format('DROP INDEX CONCURRENTLY %s', i.made::regclass) AS statement FROM old_index AS i WHERE NOT i.indisvalid
      UNION ALL
      SELECT 2, 'index', p.statement FROM old_index AS i, LATERAL redoubt.protect_index(i.indexrelid, i.source, i.target_name, i.token_type) AS p
      WHERE i.indisvalid IS NOT TRUE
      UNION ALL
      SELECT 3, 'constraint', format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%I IS NOT NULL) NOT VALID', m.relation::regclass, m.target_name, m.target_name)
      FROM member AS m WHERE m.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = m.relation AND k.conname = m.target_name AND k.contype = 'c'
                                                        AND pg_get_expr(k.conbin, k.conrelid) = format('(%I IS NOT NULL)', m.target_name))
      UNION ALL
      SELECT 4, 'constraint', format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%s) REFERENCES %s (%s)%s%s%s%s NOT VALID',
        k.conrelid::regclass, 'redoubt_protect_' || k.conoid,
        (SELECT string_agg(quote_ident(coalesce(m.target_name, a.attname)), ', ' ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY AS u(num, place)
           JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num LEFT JOIN member AS m ON m.relation = k.conrelid AND m.source = u.num),
        k.confrelid::regclass,
        (SELECT string_agg(quote_ident(coalesce(m.target_name, a.attname)), ', ' ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY AS u(num, place)
           JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.num LEFT JOIN member AS m ON m.relation = k.confrelid AND m.source = u.num),
        CASE k.confmatchtype WHEN 'f' THEN ' MATCH FULL' ELSE '' END,
        CASE k.confupdtype WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'r' THEN ' ON UPDATE RESTRICT' WHEN 'n' THEN ' ON UPDATE SET NULL' WHEN 'd' THEN ' ON UPDATE SET DEFAULT' ELSE '' END,
        CASE k.confdeltype WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'r' THEN ' ON DELETE RESTRICT' WHEN 'n' THEN ' ON DELETE SET NULL' WHEN 'd' THEN ' ON DELETE SET DEFAULT' ELSE '' END,
        CASE WHEN k.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END)
      FROM old_key AS k WHERE k.made IS NULL
      UNION ALL
      SELECT 5, 'constraint', format('ALTER TABLE %s VALIDATE CONSTRAINT %I', m.relation::regclass, k.conname)
      FROM member AS m JOIN pg_constraint AS k ON k.conrelid = m.relation AND k.conname = m.target_name AND k.contype = 'c' AND NOT k.convalidated
      UNION ALL
      SELECT 6, 'constraint', format('ALTER TABLE %s VALIDATE CONSTRAINT %I', k.conrelid::regclass, 'redoubt_protect_' || k.conoid)
      FROM old_key AS k WHERE k.convalidated AND NOT k.made_valid) AS w
    ORDER BY w.turn, w.statement;
  END;
COMMENT ON FUNCTION redoubt.protect_pending(regclass, smallint) IS 'internal: the statements that are still to run before the swap, in order';

CREATE FUNCTION redoubt.protect_indexes("table" regclass, "column" name) RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    SELECT p.statement FROM redoubt.protect_pending("table", redoubt.protect_column_number("table", "column")) AS p
    WHERE p.kind = 'index'
      AND NOT EXISTS (SELECT FROM redoubt.protect_group("table", redoubt.protect_column_number("table", "column")) AS g
                      LEFT JOIN redoubt.protections AS s ON s.relation = g.relation AND s.source = g.source
                      WHERE s.step IS DISTINCT FROM 'swap');
  END;
COMMENT ON FUNCTION redoubt.protect_indexes(regclass, name) IS 'the CREATE INDEX CONCURRENTLY that protect_column() waits for; none before the column is filled: in psql, ... \gexec';

-- Begins with one column: the token column, its trigger, its row.
CREATE FUNCTION redoubt.protect_add("table" oid, "column" smallint, token_type regtype) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  part constant text := 'redoubt_protect_' || "column";
  trigger_name constant text := '~' || part;  -- after the application's own
  tab text;
BEGIN
  PERFORM redoubt.protect_lock("table", true);
  tab := "table"::regclass;
  IF EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = part AND NOT a.attisdropped) THEN
    RAISE EXCEPTION 'table % has a column % already', tab, part USING ERRCODE = '42701', HINT = 'Where a dump brought it along, drop it.';
  END IF;
  EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', tab, part, token_type);
  EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', tab, part, 'made by redoubt.protect_column(), which is at work');
  EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION redoubt.keep_token()', trigger_name, tab);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', tab, trigger_name);
  PERFORM redoubt.protect_begin("table", "column", redoubt.protect_column_number("table", part), token_type,
                                (SELECT g.oid FROM pg_trigger AS g WHERE g.tgrelid = "table" AND g.tgname = trigger_name));
END
$body$;
COMMENT ON FUNCTION redoubt.protect_add(oid, smallint, regtype) IS 'internal, a step of protect_column(): the first';

-- The trigger, the old column and what hangs on it go; the token column takes the place.
-- False: something is still to be done.  All that decides is looked at under the locks.
CREATE FUNCTION redoubt.protect_swap("table" oid, "column" smallint) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $body$
DECLARE
  locked text;
  members redoubt.protections[];
  member redoubt.protections;
  item record;
  tab text;
  old name;
  made name;
  needed boolean;
  removals text[];
  keys text[];
  makings text[];
  one text;
BEGIN
  PERFORM redoubt.protect_inside("table");
  FOR item IN SELECT DISTINCT g.relation FROM redoubt.protect_group("table", "column") AS g ORDER BY 1 LOOP
    PERFORM redoubt.protect_lock(item.relation, true);
    locked := concat_ws(' ', locked, item.relation);
  END LOOP;
  IF locked IS DISTINCT FROM (SELECT string_agg(g.relation::text, ' ' ORDER BY g.relation)
                              FROM (SELECT DISTINCT p.relation FROM redoubt.protect_group("table", "column") AS p) AS g) THEN
    RETURN false;
  END IF;
  FOR item IN SELECT g.relation, g.source FROM redoubt.protect_group("table", "column") AS g LOOP
    IF NOT redoubt.protect_check(item.relation, item.source) THEN
      RETURN false;
    END IF;
  END LOOP;
  IF EXISTS (SELECT FROM redoubt.protect_pending("table", "column")) THEN
    RETURN false;
  END IF;
  SELECT array_agg(s ORDER BY s.relation, s.source) INTO members
  FROM redoubt.protect_group("table", "column") AS g JOIN redoubt.protections AS s ON s.relation = g.relation AND s.source = g.source;
  SELECT p.object, p.what, p.remedy INTO item FROM unnest(members) AS s, LATERAL redoubt.protect_parts(s.relation, s.source, s.token_type) AS p
  WHERE p.severity = 'error' LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '% stands in the way', item.object USING ERRCODE = '55000', DETAIL = item.what, HINT = item.remedy;
  END IF;
  -- A view of two of the columns is listed twice.
  WITH part AS (
    SELECT p.turn, p.remove, p.make, min(p.place) AS place
    FROM (SELECT row_number() OVER () AS place, q.turn, q.remove, q.make
          FROM unnest(members) AS s, LATERAL redoubt.protect_parts(s.relation, s.source, s.token_type) AS q) AS p
    GROUP BY p.turn, p.remove, p.make)
  SELECT array_agg(p.remove ORDER BY p.turn, p.place) FILTER (WHERE p.remove IS NOT NULL),
         array_agg(p.make ORDER BY p.place) FILTER (WHERE p.make IS NOT NULL AND p.turn = 10),
         array_agg(p.make ORDER BY p.turn DESC, p.place) FILTER (WHERE p.make IS NOT NULL AND p.turn <> 10)
    INTO removals, keys, makings FROM part AS p;

  FOREACH one IN ARRAY coalesce(removals, '{}') LOOP
    EXECUTE one;
  END LOOP;
  FOREACH member IN ARRAY members LOOP
    tab := member.relation::regclass;
    SELECT a.attname, a.attnotnull INTO old, needed FROM pg_attribute AS a WHERE a.attrelid = member.relation AND a.attnum = member.source;
    SELECT a.attname INTO made FROM pg_attribute AS a WHERE a.attrelid = member.relation AND a.attnum = member.target;
    PERFORM redoubt.protect_record(member.trigger, 'swap');
    EXECUTE format('DROP TRIGGER %I ON %s', (SELECT g.tgname FROM pg_trigger AS g WHERE g.oid = member.trigger), tab);
    EXECUTE format('ALTER TABLE %s DROP COLUMN %I', tab, old);
    EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', tab, made, old);
    EXECUTE format('COMMENT ON COLUMN %s.%I IS NULL', tab, old);
    IF needed THEN
      EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', tab, old);
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', tab, made);
    END IF;
    -- Names led where they should.
    IF NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = member.relation AND a.attnum = member.target AND a.attname = old AND a.atttypid = member.token_type AND a.attnotnull = needed)
       OR NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = member.relation AND a.attnum = member.source AND a.attisdropped)
       OR EXISTS (SELECT FROM pg_trigger AS g WHERE g.oid = member.trigger) THEN
      RAISE EXCEPTION 'table % was renamed meanwhile', tab USING ERRCODE = '55000', HINT = 'CALL redoubt.protect_column(...) again.';
    END IF;
  END LOOP;
  -- What is made anew finds the operators of the type, wherever they are.
  PERFORM set_config('search_path', (SELECT concat_ws(', ', 'pg_catalog', string_agg(DISTINCT quote_ident(n.nspname), ', '), 'pg_temp')
                                     FROM unnest(members) AS s JOIN pg_type AS y ON y.oid = s.token_type JOIN pg_namespace AS n ON n.oid = y.typnamespace), true);
  FOREACH one IN ARRAY coalesce(keys, '{}') || coalesce(makings, '{}') LOOP
    EXECUTE one;
  END LOOP;
  RETURN true;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_swap(oid, smallint) IS 'internal, a step of protect_column(): the last';

/* protect_work does the next piece of work on a column and those tied to it, in the transaction at hand, and tells how to go
 * on: again, locked (a row was), retry (a lock was not got), indexes (somebody has to make them), ready (to be swapped), done.
 * It is what protect_step() calls in the cage.
 */
CREATE FUNCTION redoubt.protect_work("table" regclass, "column" name, token_type regtype, batch integer, lock_timeout interval, build_indexes boolean, swap boolean)
  RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $body$
#variable_conflict use_variable
DECLARE
  num constant smallint := redoubt.protect_column_number("table", "column");
  wanted constant regtype := token_type;
  limit_of_wait constant text := extract(epoch FROM lock_timeout) * 1000 || 'ms';
  item record;
  state text;
BEGIN
  PERFORM redoubt.protect_inside("table");
  IF NOT EXISTS (SELECT FROM redoubt.token_type AS t WHERE t.typ = wanted) THEN
    RAISE EXCEPTION '% is not a token type', format_type(wanted, NULL) USING ERRCODE = '42809', HINT = 'redoubt.token_types lists them.';
  END IF;
  IF EXISTS (SELECT FROM redoubt.protect_group("table", num) AS g JOIN redoubt.protections AS p ON p.relation = g.relation AND p.source = g.source
             WHERE p.token_type <> wanted) THEN
    RAISE EXCEPTION 'column % of table % is being protected with another token type', quote_ident("column"), "table"
      USING ERRCODE = '55000', HINT = 'CALL redoubt.protect_undo(...), then begin anew.';
  END IF;

  -- Begin.
  FOR item IN SELECT g.relation, g.source FROM redoubt.protect_group("table", num) AS g
              WHERE NOT EXISTS (SELECT FROM redoubt.protections AS p WHERE p.relation = g.relation AND p.source = g.source) LIMIT 1 LOOP
    DECLARE
      found_errors record;
    BEGIN
      SELECT count(*) AS n, string_agg(p.object || ': ' || p.what, '; ') AS what, min(p.remedy) AS remedy INTO found_errors
      FROM redoubt.protect_group("table", num) AS g, LATERAL redoubt.protect_parts(g.relation, g.source, wanted) AS p WHERE p.severity = 'error';
      IF found_errors.n > 0 THEN
        RAISE EXCEPTION 'column % of table % cannot be protected online as it is', quote_ident("column"), "table"
          USING ERRCODE = '55000', DETAIL = found_errors.what, HINT = coalesce(found_errors.remedy || '  ', '') || 'redoubt.check_protect() lists everything.';
      END IF;
    END;
    PERFORM redoubt.protect_lock(item.relation, false);  -- an autovacuum gives way to who waits long enough
    PERFORM set_config('lock_timeout', limit_of_wait, true);
    BEGIN
      PERFORM redoubt.protect_add(item.relation, item.source, wanted);
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      RETURN 'retry';
    END;
    RETURN 'again';
  END LOOP;

  -- Fill and verify.
  FOR item IN SELECT g.relation, g.source FROM redoubt.protect_group("table", num) AS g LOOP
    state := redoubt.protect_rows(item.relation, item.source, batch);
    IF state <> 'ready' THEN
      RETURN state;
    END IF;
  END LOOP;

  -- Indexes and constraints.
  SELECT p.kind, p.statement INTO item FROM redoubt.protect_pending("table", num) AS p LIMIT 1;
  IF FOUND THEN
    IF item.kind = 'index' THEN
      PERFORM redoubt.protect_twins(p.relation, p.source, p.target)
      FROM redoubt.protect_group("table", num) AS g JOIN redoubt.protections AS p ON p.relation = g.relation AND p.source = g.source;
      IF NOT build_indexes THEN
        RETURN 'indexes';
      END IF;
      EXECUTE regexp_replace(item.statement, '^((?:CREATE |CREATE UNIQUE |DROP )INDEX) CONCURRENTLY', '\1');
      RETURN 'again';
    ELSIF item.statement !~ '^ALTER TABLE .* VALIDATE ' THEN
      PERFORM redoubt.protect_lock(g.relation, false) FROM redoubt.protect_group("table", num) AS g;
      PERFORM set_config('lock_timeout', limit_of_wait, true);
    END IF;
    BEGIN
      EXECUTE item.statement;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      RETURN 'retry';
    END;
    RETURN 'again';
  END IF;

  IF NOT swap THEN
    RETURN 'ready';
  END IF;
  PERFORM redoubt.protect_lock(g.relation, false) FROM redoubt.protect_group("table", num) AS g;
  PERFORM set_config('lock_timeout', limit_of_wait, true);
  BEGIN
    RETURN CASE WHEN redoubt.protect_swap("table", num) THEN 'done' ELSE 'again' END;
  EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN 'retry';
  END;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_work(regclass, name, regtype, integer, interval, boolean, boolean) IS 'internal, a step of protect_column(): the next one';
REVOKE ALL ON FUNCTION redoubt.protect_work(regclass, name, regtype, integer, interval, boolean, boolean) FROM PUBLIC;

-- Rows that a unique index would refuse, because their values differ in spelling only.
CREATE FUNCTION redoubt.protect_twins("table" regclass, source smallint, target smallint) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $body$
DECLARE
  item record;
BEGIN
  PERFORM redoubt.protect_inside("table");
  IF EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = "table" AND x.indisunique AND x.indnkeyatts = 1 AND x.indkey[0] = source AND x.indpred IS NULL) THEN
    EXECUTE format('SELECT count(*) AS n, (array_agg(v.rows))[1:5] AS places FROM (SELECT string_agg(%1$s, '' and '') AS rows FROM ONLY %2$s AS t '
                   'WHERE t.%3$I IS NOT NULL GROUP BY t.%3$I HAVING count(*) > 1) AS v', redoubt.protect_row_name("table", source), "table",
                   (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attnum = target)) INTO item;
    IF item.n > 0 THEN
      RAISE EXCEPTION '% values of table % are equal to others, but for their spelling', item.n, "table"
        USING ERRCODE = '23505', DETAIL = array_to_string(item.places, '; '), HINT = 'Change these rows, then CALL redoubt.protect_column(...) again.';
    END IF;
  END IF;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_twins(regclass, smallint, smallint) IS 'internal: raises 23505 where a unique index would not take the tokens';

CREATE PROCEDURE redoubt.protect_column("table" regclass, "column" name, token_type regtype, batch integer DEFAULT 5000, pause interval DEFAULT NULL,
    max_lag text DEFAULT NULL, lock_timeout interval DEFAULT '100 ms', retries integer DEFAULT 300, build_indexes boolean DEFAULT false, swap boolean DEFAULT true)
  LANGUAGE plpgsql
AS $body$
DECLARE
  state text;
  tries integer := 0;
  started timestamptz;
BEGIN
  IF pg_catalog.num_nulls("table", "column", token_type, batch, lock_timeout, retries, build_indexes, swap) OPERATOR(pg_catalog.>) 0
     OR batch OPERATOR(pg_catalog.<) 1 THEN
    RAISE EXCEPTION 'invalid argument of protect_column' USING ERRCODE = '22023', HINT = 'Only pause and max_lag may be null; a batch has at least one row.';
  END IF;
  LOOP
    started := pg_catalog.clock_timestamp();
    state := redoubt.protect_step("table", "column", token_type, batch, lock_timeout, build_indexes, swap);
    COMMIT;
    IF state OPERATOR(pg_catalog.=) 'again' THEN
      tries := 0;
      -- Without a pause given: two thirds of the time are the application's.
      PERFORM pg_catalog.pg_sleep_for(CASE WHEN pause IS NOT NULL THEN pause ELSE (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) started) OPERATOR(pg_catalog.*) 2.0::double precision END);
    ELSIF state OPERATOR(pg_catalog.=) 'locked' THEN
      PERFORM pg_catalog.pg_sleep(0.1);
    ELSIF state OPERATOR(pg_catalog.=) 'retry' THEN
      tries := tries OPERATOR(pg_catalog.+) 1;
      IF tries OPERATOR(pg_catalog.>) retries THEN
        RAISE EXCEPTION 'could not lock table % within %', "table", lock_timeout
          USING ERRCODE = '55P03', HINT = 'Some transaction holds it: call again in a quieter hour.  What was done is kept.';
      END IF;
      PERFORM pg_catalog.pg_sleep(0.3);
    ELSE
      EXIT;
    END IF;
    WHILE max_lag IS NOT NULL AND redoubt.standby_lag() OPERATOR(pg_catalog.>) pg_catalog.pg_size_bytes(max_lag) LOOP
      PERFORM pg_catalog.pg_sleep(0.2);
      COMMIT;
    END LOOP;
  END LOOP;
  IF state OPERATOR(pg_catalog.=) 'indexes' THEN
    RAISE NOTICE 'column % of table % is filled and verified, and waits for its indexes', "column", "table"
      USING HINT = 'In psql: SELECT redoubt.protect_indexes(...) \gexec; then call protect_column() again.  redoubt-protect does all of it.';
  ELSIF state OPERATOR(pg_catalog.=) 'ready' THEN
    RAISE NOTICE 'column % of table % is ready to be swapped', "column", "table" USING HINT = 'Call protect_column() again with swap => true.';
  END IF;
END
$body$;
COMMENT ON PROCEDURE redoubt.protect_column(regclass, name, regtype, integer, interval, text, interval, integer, boolean, boolean) IS
  'makes a column a token column while the application goes on; commits after each batch; called again, goes on where it was';

CREATE FUNCTION redoubt.protect_undo_work("table" regclass, "column" name, lock_timeout interval) RETURNS text
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  num constant smallint := redoubt.protect_column_number("table", "column");
  members redoubt.protections[];
  member redoubt.protections;
  item record;
BEGIN
  SELECT array_agg(s ORDER BY s.relation, s.source) INTO members
  FROM redoubt.protect_group("table", num) AS g JOIN redoubt.protections AS s ON s.relation = g.relation AND s.source = g.source
  WHERE (SELECT c.relowner FROM pg_class AS c WHERE c.oid = s.relation) = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user);
  IF members IS NULL THEN
    RAISE EXCEPTION 'column % of table % is not being protected', quote_ident("column"), "table" USING ERRCODE = '55000', HINT = 'After the swap there is nothing to undo.';
  END IF;
  FOREACH member IN ARRAY members LOOP
    PERFORM redoubt.protect_lock(member.relation, false);
  END LOOP;
  PERFORM set_config('lock_timeout', extract(epoch FROM lock_timeout) * 1000 || 'ms', true);
  BEGIN
    FOREACH member IN ARRAY members LOOP
      PERFORM redoubt.protect_lock(member.relation, true);
    END LOOP;
    FOR item IN SELECT k.conrelid::regclass AS tab, k.conname FROM unnest(members) AS s
                JOIN pg_constraint AS k ON k.conrelid = s.relation AND k.contype = 'f' AND s.target = ANY (k.conkey) LOOP
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.tab, item.conname);
    END LOOP;
    -- Those of them that are still there, now that the tables are locked.
    FOR item IN SELECT s.trigger, s.relation, s.target, g.tgname, a.attname FROM unnest(members) AS s
                JOIN pg_trigger AS g ON g.oid = s.trigger AND g.tgrelid = s.relation
                JOIN pg_attribute AS a ON a.attrelid = s.relation AND a.attnum = s.target AND NOT a.attisdropped LOOP
      PERFORM redoubt.protect_record(item.trigger, 'undo');
      EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, item.relation::regclass);
      EXECUTE format('ALTER TABLE %s DROP COLUMN %I', item.relation::regclass, item.attname);
      IF EXISTS (SELECT FROM pg_trigger AS g WHERE g.oid = item.trigger)
         OR NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = item.relation AND a.attnum = item.target AND a.attisdropped) THEN
        RAISE EXCEPTION 'table % was renamed meanwhile', item.relation::regclass USING ERRCODE = '55000', HINT = 'CALL redoubt.protect_undo(...) again.';
      END IF;
    END LOOP;
  EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN 'retry';
  END;
  RETURN 'done';
END
$body$;
COMMENT ON FUNCTION redoubt.protect_undo_work(regclass, name, interval) IS 'internal, a step of protect_column(): what protect_undo_step() does in the cage';
REVOKE ALL ON FUNCTION redoubt.protect_undo_work(regclass, name, interval) FROM PUBLIC;

CREATE PROCEDURE redoubt.protect_undo("table" regclass, "column" name, lock_timeout interval DEFAULT '100 ms', retries integer DEFAULT 300)
  LANGUAGE plpgsql
AS $body$
DECLARE
  tries integer := 0;
BEGIN
  WHILE redoubt.protect_undo_step("table", "column", lock_timeout) OPERATOR(pg_catalog.=) 'retry' LOOP
    COMMIT;
    tries := tries OPERATOR(pg_catalog.+) 1;
    IF tries OPERATOR(pg_catalog.>) retries THEN
      RAISE EXCEPTION 'could not lock table % within %', "table", lock_timeout USING ERRCODE = '55P03', HINT = 'Some transaction holds it: call again in a quieter hour.';
    END IF;
    PERFORM pg_catalog.pg_sleep(0.3);
  END LOOP;
END
$body$;
COMMENT ON PROCEDURE redoubt.protect_undo(regclass, name, interval, integer) IS 'takes back what protect_column() did, up to the swap';

-- The ordinary way: ALTER TABLE reads each value by detokenize(), which asks, charges and records.
CREATE FUNCTION redoubt.unprotect_work("table" regclass, "column" name) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $body$
DECLARE
  tab text;
  base text;
BEGIN
  PERFORM redoubt.protect_lock("table", true);
  tab := "table"::regclass;
  SELECT t.base INTO base FROM pg_attribute AS a JOIN redoubt.token_type AS t ON t.typ = a.atttypid
  WHERE a.attrelid = "table" AND a.attnum = redoubt.protect_column_number("table", "column");
  IF base IS NULL OR EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = "column" AND a.atthasdef) THEN
    RAISE EXCEPTION 'column % of table % has a default, or is no token column', quote_ident("column"), tab
      USING ERRCODE = '55000', HINT = 'Drop the default, which is a token, and set it anew afterwards.';
  END IF;
  EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s USING redoubt.detokenize(%I)', tab, "column", base, "column");
END
$body$;
COMMENT ON FUNCTION redoubt.unprotect_work(regclass, name) IS 'internal, a step of unprotect_column()';
REVOKE ALL ON FUNCTION redoubt.unprotect_work(regclass, name) FROM PUBLIC;

CREATE FUNCTION redoubt.count_copies("table" oid, "column" smallint, tables oid[], columns smallint[]) RETURNS bigint[]
  AS 'MODULE_PATHNAME', 'redoubt_count_copies' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.count_copies(oid, smallint, oid[], smallint[]) IS
  'internal, for find_plaintext(): how many values of each of those columns are in the token column, too; null for one that the caller may not read; charges a tokenization for each value';
REVOKE ALL ON FUNCTION redoubt.count_copies(oid, smallint, oid[], smallint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.count_copies(oid, smallint, oid[], smallint[]) TO redoubt_admin;

/* find_plaintext lists where old values of a token column may still lie, and counts copies of its values in other columns.
 *
 * Columns are read as the tables hold them, without a query, so that nothing of a table's own runs in the name of whoever
 * asks.  Columns that he may not read, or whose rows a policy hides from him, are named and not read.
 */
CREATE FUNCTION redoubt.find_plaintext("table" regclass, "column" name) RETURNS TABLE (place text, rows bigint, what text, remedy text)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_variable
DECLARE
  num constant smallint := redoubt.protect_column_number("table", "column");
  wanted regtype;
  tables oid[];
  numbers smallint[];
  names text[];
  counts bigint[];
BEGIN
  SELECT k.typ INTO wanted FROM pg_attribute AS a JOIN redoubt.token_type AS k ON k.typ = a.atttypid
  WHERE a.attrelid = "table" AND a.attnum = num AND k.deterministic AND k.base = 'text';
  IF wanted IS NULL THEN
    RAISE EXCEPTION 'column % of table % is no column of a deterministic token type on text', quote_ident("column"), "table" USING ERRCODE = '42809';
  END IF;
  RETURN QUERY SELECT 'table ' || "table", greatest(c.reltuples, 0)::bigint, 'rows may still hold the values of a dropped column', format('VACUUM FULL %s;', "table")
  FROM pg_class AS c WHERE c.oid = "table" AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attisdropped AND a.attlen = -1);
  RETURN QUERY SELECT 'table ' || s.relid::regclass::text, s.n_dead_tup, 'dead rows', format('VACUUM FULL %s;', s.relid::regclass)
  FROM pg_stat_all_tables AS s WHERE s.relid IN ("table", 'pg_statistic'::regclass) AND s.n_dead_tup > 0;
  RETURN QUERY SELECT 'WAL, its archive, base backups', NULL::bigint, 'hold what was written before the swap', 'Let them expire.';
  WITH RECURSIVE texts (oid) AS (
    SELECT y FROM unnest(ARRAY['text'::regtype, 'varchar'::regtype, 'bpchar'::regtype]::oid[]) AS y
    UNION SELECT y.oid FROM pg_type AS y JOIN texts AS t ON y.typtype = 'd' AND y.typbasetype = t.oid)
  SELECT array_agg(c.oid ORDER BY f.tab, a.attnum), array_agg(a.attnum ORDER BY f.tab, a.attnum), array_agg(format('%s.%I', f.tab, a.attname) ORDER BY f.tab, a.attnum)
    INTO tables, numbers, names
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped, LATERAL (SELECT c.oid::regclass::text COLLATE "C" AS tab) AS f
  WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND a.atttypid IN (SELECT t.oid FROM texts AS t)
    AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'redoubt'::regnamespace);
  counts := redoubt.count_copies("table", num, tables, numbers);
  RETURN QUERY SELECT 'column ' || v.name, v.n, CASE WHEN v.n IS NULL THEN 'was not looked at' ELSE 'values that are in the token column, too' END,
    CASE WHEN v.n IS NULL THEN format('Ask as a role that may read all rows of it: GRANT SELECT ON %s TO %I;', v.tab::regclass, current_user)
         ELSE 'Protect it as well, with ' || wanted || '.' END
  FROM unnest(tables, names, counts) AS v(tab, name, n) WHERE v.n IS DISTINCT FROM 0;
END
$body$;
COMMENT ON FUNCTION redoubt.find_plaintext(regclass, name) IS 'where old values of a token column may still lie, and how many copies of its values other text columns hold; charges a tokenization for each value it compares';
REVOKE ALL ON FUNCTION redoubt.find_plaintext(regclass, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.find_plaintext(regclass, name) TO redoubt_admin;

CREATE VIEW redoubt.token_types AS
  SELECT typ AS token_type, method, base, pattern, normalize, mask, deterministic, key, shipped, created_at, format, key_version, ttl, invalid
  FROM redoubt.token_type;
COMMENT ON VIEW redoubt.token_types IS 'the token types of this database and their policies';
GRANT SELECT ON redoubt.token_types TO PUBLIC;

-- The types that ship.  Their class ids are fixed: a token is portable between
-- databases that hold the same data key.  The table of phone_token is always 1, for the same reason.
SELECT redoubt.build_token_type('redoubt', 'email_token', 'pg_catalog', 'text', NULL, 'email', 'email', true, 'default',
                                '5e1b0a3c-7d52-4c0e-9a6f-1f2d3c4b5a01', true);
SELECT redoubt.build_token_type('redoubt', 'phone_token', 'pg_catalog', 'text', NULL, 'phone(US,table=1)', 'phone', true, 'default',
                                '5e1b0a3c-7d52-4c0e-9a6f-1f2d3c4b5a02', true);
SELECT redoubt.build_token_type('redoubt', 'name_token', 'pg_catalog', 'text', NULL, 'name', 'name', true, 'default',
                                '5e1b0a3c-7d52-4c0e-9a6f-1f2d3c4b5a03', true);
SELECT redoubt.build_token_type('redoubt', 'text_token', 'pg_catalog', 'text', NULL, 'none', 'full', true, 'default',
                                '5e1b0a3c-7d52-4c0e-9a6f-1f2d3c4b5a04', true);
SELECT redoubt.build_token_type('redoubt', 'bytes_token', 'pg_catalog', 'bytea', NULL, 'none', 'full', true, 'default',
                                '5e1b0a3c-7d52-4c0e-9a6f-1f2d3c4b5a05', true, invalid => 'refuse');

-- ------------------------------------------------------- what a dump carries

SELECT pg_catalog.pg_extension_config_dump('redoubt.token_type',
         'WHERE NOT shipped AND EXISTS (SELECT FROM pg_catalog.pg_type AS t WHERE t.oid = typ)');
SELECT pg_catalog.pg_extension_config_dump('redoubt.key', '');
SELECT pg_catalog.pg_extension_config_dump('redoubt.vault', '');
SELECT pg_catalog.pg_extension_config_dump('redoubt.limit_rule', '');
SELECT pg_catalog.pg_extension_config_dump('redoubt.limit_rule_id_seq', '');
