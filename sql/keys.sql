/*
 * Data keys: making, rotating, who may, and what the table of keys shows.
 *
 * Proves: keys are stored wrapped only; versions count up and old tokens stay
 * readable; a missing or damaged key is a clear error; a rolled back key is gone
 * from every cache; nobody but redoubt_admin makes keys or sees their rows.
 * Restarts, another key-encryption key and files' modes: test/tap.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE ROLE regress_keys_admin IN ROLE redoubt_admin;
CREATE ROLE regress_keys_app;
CREATE SCHEMA regress_keys;
GRANT USAGE, CREATE ON SCHEMA regress_keys TO regress_keys_app, regress_keys_admin;

-- ------------------------------------------------------------------- making
SET ROLE regress_keys_admin;
SELECT redoubt.create_key('regress_keys');
SELECT redoubt.create_key('regress keys, "quoted"') AS any_name;
SELECT redoubt.create_key('regress_keys');
SELECT redoubt.rotate_key('regress_keys_missing');
SELECT redoubt.create_key(NULL) IS NULL AS null_is_null, redoubt.rotate_key(NULL) IS NULL AS null_is_null;
SELECT redoubt.create_key('');
SELECT name, version, length(wrapped) AS bytes, kek_fingerprint ~ '^[0-9a-f]{16}$' AS kek, created_by = session_user AS by_login, created_at > now() - interval '1 h' AS at
FROM redoubt.key WHERE name LIKE 'regress%' ORDER BY name COLLATE "C", version;
-- The fingerprint is the server's, as status() says.
SELECT count(DISTINCT kek_fingerprint) AS keks, bool_and(kek_fingerprint = (SELECT value FROM redoubt.status() WHERE item = 'key-encryption key')) AS the_servers
FROM redoubt.key WHERE name LIKE 'regress%';
RESET ROLE;
-- What is wrapped differs from key to key, although the KEK is one.
SELECT count(DISTINCT wrapped) = count(*) AS different FROM redoubt.key WHERE name LIKE 'regress%';

-- ----------------------------------------------------------------- rotating
SELECT redoubt.create_token_type('regress_keys.token', key => 'regress_keys') \gset made_
SELECT redoubt.create_token_type('regress_keys.random', deterministic => false, key => 'regress_keys') \gset made_
SELECT redoubt.create_token_type('regress_keys.other', key => 'regress keys, "quoted"') \gset made_
GRANT EXECUTE ON FUNCTION regress_keys.token(text), redoubt.detokenize(regress_keys.token), regress_keys.random(text), redoubt.detokenize(regress_keys.random),
  regress_keys.other(text), redoubt.detokenize(regress_keys.other) TO regress_keys_app;
SET ROLE regress_keys_app;
SET search_path = regress_keys, redoubt;
CREATE TABLE value (id serial, version int, t token, r random, o other);
INSERT INTO value (version, t, r, o) VALUES (1, 'secret', 'secret', 'secret');
RESET ROLE;
SELECT redoubt.rotate_key('regress_keys');
SET ROLE regress_keys_app;
INSERT INTO value (version, t, r, o) VALUES (2, 'secret', 'secret', 'secret');
RESET ROLE;
SELECT redoubt.rotate_key('regress_keys');
SET ROLE regress_keys_app;
INSERT INTO value (version, t, r, o) VALUES (3, 'secret', 'secret', 'secret');
-- All three versions open; the type with another key did not move.
SELECT version, (token_info(t)).key_version AS t, (token_info(r)).key_version AS r, (token_info(o)).key_version AS o, (token_info(o)).key,
       detokenize(t), detokenize(r), detokenize(o)
FROM value ORDER BY version;
SELECT count(DISTINCT t) AS equal, count(DISTINCT redoubt.token(t)) AS different_bytes FROM value;
RESET ROLE;
SELECT name, version, length(wrapped) FROM redoubt.key WHERE name = 'regress_keys' ORDER BY version;

-- In a transaction: the new version at once, after a rollback the old one.
BEGIN;
SELECT redoubt.rotate_key('regress_keys');
SET LOCAL ROLE regress_keys_app;
INSERT INTO value (version, t) VALUES (4, 'inside') RETURNING (token_info(t)).key_version, detokenize(t);
ROLLBACK;
SET ROLE regress_keys_app;
INSERT INTO value (version, t) VALUES (3, 'after') RETURNING (token_info(t)).key_version, detokenize(t);
RESET ROLE;
SELECT max(version) FROM redoubt.key WHERE name = 'regress_keys';
-- A savepoint likewise; version 4 made again is another key than the one rolled back.
BEGIN;
SAVEPOINT s;
SELECT redoubt.rotate_key('regress_keys');
SET LOCAL ROLE regress_keys_app;
SELECT token('lost'::text)::text AS lost \gset
ROLLBACK TO SAVEPOINT s;
SET LOCAL ROLE regress_keys_app;
SELECT (token_info('found'::token)).key_version;
COMMIT;
SELECT redoubt.rotate_key('regress_keys');
SET ROLE regress_keys_app;
\set VERBOSITY sqlstate
SELECT detokenize(:'lost'::token);
\set VERBOSITY default
SELECT detokenize('found'::token) AS found, 'lost'::token = :'lost'::token AS still_equal;
RESET ROLE;
-- In a read-only transaction: an error of PostgreSQL's own, nothing made.
BEGIN READ ONLY;
\set VERBOSITY sqlstate
SELECT redoubt.rotate_key('regress_keys');
\set VERBOSITY default
ROLLBACK;
SELECT max(version) FROM redoubt.key WHERE name = 'regress_keys';

-- ---------------------------------------------------- missing and damaged keys
BEGIN;
DELETE FROM redoubt.key WHERE name = 'regress_keys' AND version = 2;
SET LOCAL ROLE regress_keys_app;
SELECT detokenize(t) FROM value WHERE version = 1;
SELECT detokenize(t) FROM value WHERE version = 2;
ROLLBACK;
BEGIN;
DELETE FROM redoubt.key WHERE name = 'regress_keys';
SET LOCAL ROLE regress_keys_app;
SELECT 'secret'::token;
ROLLBACK;
BEGIN;
UPDATE redoubt.key SET wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) WHERE name = 'regress_keys' AND version = 1;
SET LOCAL ROLE regress_keys_app;
SELECT detokenize(t) FROM value WHERE version = 1;
ROLLBACK;
-- One key's row under another's name opens nothing of it.
BEGIN;
UPDATE redoubt.key SET wrapped = (SELECT wrapped FROM redoubt.key WHERE name = 'regress keys, "quoted"') WHERE name = 'regress_keys' AND version = 1;
SET LOCAL ROLE regress_keys_app;
\set VERBOSITY sqlstate
SELECT detokenize(t) FROM value WHERE version = 1;
\set VERBOSITY default
ROLLBACK;
-- Wrapped by another KEK: the message says which, by fingerprint.
BEGIN;
UPDATE redoubt.key SET kek_fingerprint = '0123456789abcdef' WHERE name = 'regress_keys';
SET LOCAL ROLE regress_keys_app;
DO $$
BEGIN
  PERFORM regress_keys.token('secret'::text);
  RAISE 'no error came';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RAISE NOTICE '% %', SQLSTATE, regexp_replace(SQLERRM, 'has [0-9a-f]{16}$', 'has (its own)');
END
$$;
ROLLBACK;
-- verify_keys() says which opens and why not, also of a damaged one; status() counts them.
BEGIN;
UPDATE redoubt.key SET kek_fingerprint = '0123456789abcdef' WHERE name = 'regress_keys' AND version = 1;
UPDATE redoubt.key SET wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) WHERE name = 'regress_keys' AND version = 3;
SELECT name, version, kek_fingerprint = '0123456789abcdef' AS other_kek, opens, problem FROM redoubt.verify_keys() WHERE name LIKE 'regress%';
SELECT regexp_replace(value, E'\n.*', '') AS cannot_be_opened FROM redoubt.status() WHERE item = 'keys that cannot be opened';
SELECT value::int = (SELECT count(*) FROM redoubt.verify_keys() WHERE opens) AS can_be_opened FROM redoubt.status() WHERE item = 'keys that can be opened';
-- One that opens is enough for a new one.
SELECT redoubt.create_key('regress_keys_new');
UPDATE redoubt.key SET kek_fingerprint = '0123456789abcdef';
DO $$
BEGIN
  PERFORM redoubt.create_key('regress_keys_refused');
  RAISE 'no error came';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RAISE NOTICE '%', SQLERRM;
END
$$;
ROLLBACK;
-- Nor is it wrapped anew: all keys or none.
BEGIN;
UPDATE redoubt.key SET kek_fingerprint = '0123456789abcdef' WHERE name = 'regress_keys' AND version = 1;
\set VERBOSITY sqlstate
SELECT redoubt.rewrap_keys();
\set VERBOSITY default
ROLLBACK;
SELECT redoubt.rewrap_keys() AS nothing_to_do;
BEGIN READ ONLY;
SELECT redoubt.rewrap_keys();
ROLLBACK;
-- The table's own rules.
\set VERBOSITY sqlstate
INSERT INTO redoubt.key VALUES ('regress_keys', 9, '\x00', '', '');
INSERT INTO redoubt.key SELECT name, 0, wrapped, kek_fingerprint, created_by FROM redoubt.key WHERE name = 'regress_keys' AND version = 1;
INSERT INTO redoubt.key SELECT name, 65536, wrapped, kek_fingerprint, created_by FROM redoubt.key WHERE name = 'regress_keys' AND version = 1;
-- What is there already is left out, and another key in its place refused.
INSERT INTO redoubt.key SELECT name, 1, wrapped, kek_fingerprint, created_by FROM redoubt.key WHERE name = 'regress_keys' AND version = 1;
INSERT INTO redoubt.key SELECT name, 1, pg_catalog.set_byte(wrapped, 0, 255 - pg_catalog.get_byte(wrapped, 0)), kek_fingerprint, created_by FROM redoubt.key WHERE name = 'regress_keys' AND version = 1;
INSERT INTO redoubt.key (name, version, kek_fingerprint, created_by, state) VALUES ('regress_keys', 1, '', '', 'destroyed');
SELECT count(*) FROM redoubt.key WHERE name = 'regress_keys' AND version = 1;
\set VERBOSITY default
-- The last version there may be.
BEGIN;
INSERT INTO redoubt.key SELECT name, 65535, wrapped, kek_fingerprint, created_by FROM redoubt.key WHERE name = 'regress_keys' AND version = 1;
SELECT redoubt.rotate_key('regress_keys');
ROLLBACK;
SET ROLE regress_keys_app;
SELECT version, detokenize(t) FROM value ORDER BY id;

-- ------------------------------------------------------------------ who may
SELECT redoubt.create_key('x');
SELECT redoubt.rotate_key('regress_keys');
SELECT redoubt.rewrap_keys();
SELECT * FROM redoubt.verify_keys();
SELECT count(*) FROM redoubt.key;
RESET ROLE;
-- An admin sees the rows, wrapped as they are, and changes none by hand.
SET ROLE regress_keys_admin;
SELECT count(*) > 0 AS sees FROM redoubt.key;
\set VERBOSITY sqlstate
INSERT INTO redoubt.key SELECT 'x', 1, wrapped, kek_fingerprint, created_by FROM redoubt.key LIMIT 1;
UPDATE redoubt.key SET version = version;
DELETE FROM redoubt.key;
TRUNCATE redoubt.key;
\set VERBOSITY default
RESET ROLE;
-- An admin has keys and no privilege on values.
GRANT SELECT ON regress_keys.value TO regress_keys_admin;
SET ROLE regress_keys_admin;
SELECT redoubt.detokenize(t) FROM regress_keys.value;
RESET ROLE;
-- One event per act; a change by hand is one of its own, also one made on the way of an act.
SELECT max(sequence) AS mark FROM redoubt.audit \gset
CREATE FUNCTION regress_keys.meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE redoubt.key SET created_at = created_at WHERE name = 'regress_keys';
  RETURN NULL;
END
$$;
CREATE TRIGGER meddle BEFORE INSERT ON redoubt.key FOR EACH STATEMENT WHEN (current_setting('regress.meddle', true) = 'on')
  EXECUTE FUNCTION regress_keys.meddle();
SELECT redoubt.create_key('regress_keys_event'), redoubt.rotate_key('regress_keys_event');
SET regress.meddle = 'on';
SELECT redoubt.rotate_key('regress_keys_event');
DROP TRIGGER meddle ON redoubt.key;
DROP FUNCTION regress_keys.meddle;
DELETE FROM redoubt.key WHERE name = 'regress_keys_event';
SELECT event, operation, detail FROM redoubt.audit WHERE sequence > :mark AND event IN ('key', 'policy') ORDER BY sequence;
-- Shadowing objects on the caller's path change nothing.
SET ROLE regress_keys_admin;
CREATE TEMP TABLE key (LIKE redoubt.key);
SET search_path = pg_temp, regress_keys, pg_catalog;
SELECT redoubt.rotate_key('regress_keys');
SELECT count(*) AS fooled FROM pg_temp.key;
RESET search_path;
DROP TABLE pg_temp.key;
RESET ROLE;

-- ----------------------------------------------------------------- ends
SET client_min_messages = warning;
DROP TABLE regress_keys.value;
SELECT redoubt.drop_token_type('regress_keys.token'), redoubt.drop_token_type('regress_keys.random'), redoubt.drop_token_type('regress_keys.other');
DELETE FROM redoubt.key WHERE name LIKE 'regress%';
DROP SCHEMA regress_keys CASCADE;
DROP OWNED BY regress_keys_app, regress_keys_admin;
DROP ROLE regress_keys_app, regress_keys_admin;
