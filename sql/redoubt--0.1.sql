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
  FOREACH own IN ARRAY ARRAY['token_type', 'key', 'limit_rule', 'vault'] LOOP
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
