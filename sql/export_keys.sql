/*
 * export_keys(), import_keys(): data keys under a passphrase, out of one database and into another.
 *
 * Proves: an export opens with its passphrase alone; what is added, wrapped anew or there already; that versions and
 * states come along, and the values open; that nothing is changed where one key conflicts, and every conflict is named;
 * who may; what is on record; that no passphrase and no key is in a message.
 * (Other servers, other key-encryption keys, the server log: test/tap/export_keys.pl.)
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE ROLE regress_ex_admin IN ROLE redoubt_admin;
CREATE ROLE regress_ex_app;
GRANT EXECUTE ON FUNCTION redoubt.export_keys TO regress_ex_admin;
CREATE SCHEMA regress_ex;
GRANT USAGE, CREATE ON SCHEMA regress_ex TO regress_ex_app, regress_ex_admin;
SELECT max(sequence) AS mark FROM redoubt.audit \gset
SET ROLE regress_ex_admin;
SELECT redoubt.create_key('regress_ex_a'), redoubt.create_key('regress_ex_b');
SELECT redoubt.rotate_key('regress_ex_a');
SELECT redoubt.rotate_key('regress_ex_a');
SELECT redoubt.retire_key('regress_ex_a', 1);
RESET ROLE;
SELECT redoubt.create_token_type('regress_ex.token', key => 'regress_ex_a') \gset made_
GRANT EXECUTE ON FUNCTION regress_ex.token(text), redoubt.detokenize(regress_ex.token) TO regress_ex_app;
SET ROLE regress_ex_app;
CREATE TABLE regress_ex.kept AS SELECT regress_ex.token('a value') AS t;
RESET ROLE;
CREATE TABLE regress_ex.saved AS SELECT name, version, wrapped, state FROM redoubt.key WHERE name LIKE 'regress_ex%';

-- ------------------------------------------------------------------- export
SET ROLE regress_ex_admin;
CREATE TABLE regress_ex.export AS SELECT redoubt.export_keys('correct horse battery', '{regress_ex_a,regress_ex_b}') AS all_of_them,
  redoubt.export_keys('correct horse battery', ARRAY['regress_ex_a'::name]) AS one;
SELECT all_of_them ~ '^redoubt_keys_[A-Za-z0-9_-]+$' AS form, length(all_of_them) > length(one) AS longer FROM regress_ex.export;
SELECT redoubt.export_keys('too short');
SELECT redoubt.export_keys('ääääääääääÄ');
SELECT redoubt.export_keys(NULL);
SELECT redoubt.export_keys('correct horse battery', '{regress_ex_a,regress_ex_missing}');
SELECT redoubt.export_keys('correct horse battery', '{NULL}');
SELECT redoubt.export_keys('correct horse battery', '{}');
RESET ROLE;
-- A superuser needs the grant as well, and so does an admin.
SELECT redoubt.export_keys('correct horse battery', '{regress_ex_a}');
SET ROLE regress_ex_app;
SELECT redoubt.export_keys('correct horse battery');
SELECT * FROM redoubt.import_keys('redoubt_keys_', 'correct horse battery');

-- ------------------------------------------------------------------- import
SET ROLE regress_ex_admin;
SELECT * FROM redoubt.import_keys((SELECT all_of_them FROM regress_ex.export), 'correct horse battery');
SELECT * FROM redoubt.import_keys((SELECT all_of_them FROM regress_ex.export), 'correct horse batteri');
SELECT * FROM redoubt.import_keys('nothing of the kind', 'correct horse battery');
SELECT * FROM redoubt.import_keys((SELECT left(all_of_them, 13 + 4 * ((length(all_of_them) - 13) / 4 - 1)) FROM regress_ex.export), 'correct horse battery');
SELECT count(*) FROM redoubt.import_keys(NULL, 'correct horse battery');
BEGIN READ ONLY;
SELECT * FROM redoubt.import_keys((SELECT one FROM regress_ex.export), 'correct horse battery');
ROLLBACK;
RESET ROLE;
-- Into a database that has none of them.
DELETE FROM redoubt.key WHERE name LIKE 'regress_ex%';
SET ROLE regress_ex_app;
SELECT redoubt.detokenize(t) FROM regress_ex.kept;
SET ROLE regress_ex_admin;
SELECT * FROM redoubt.import_keys((SELECT one || E'\n' FROM regress_ex.export), 'correct horse battery');
SELECT name, version, state, created_by FROM redoubt.key WHERE name LIKE 'regress_ex%' ORDER BY name, version;
RESET ROLE;
SELECT name, version, k.wrapped = s.wrapped AS same_key, k.state = s.state AS same_state FROM redoubt.key AS k JOIN regress_ex.saved AS s USING (name, version) ORDER BY name, version;
SET ROLE regress_ex_app;
SELECT redoubt.detokenize(t) FROM regress_ex.kept;
RESET ROLE;
-- Into one that has some versions of it.
DELETE FROM redoubt.key WHERE name = 'regress_ex_a' AND version = 3;
SELECT * FROM redoubt.import_keys((SELECT all_of_them FROM regress_ex.export), 'correct horse battery');
-- Into one that has others of these names: all or none, and each is named.
DELETE FROM redoubt.key WHERE name = 'regress_ex_a' AND version > 1 OR name = 'regress_ex_b';
UPDATE redoubt.key SET state = 'in use' WHERE name = 'regress_ex_a';
SELECT redoubt.rotate_key('regress_ex_a');
SELECT redoubt.create_key('regress_ex_b');
SELECT * FROM redoubt.import_keys((SELECT all_of_them FROM regress_ex.export), 'correct horse battery');
DELETE FROM redoubt.key WHERE name = 'regress_ex_a';
SELECT redoubt.create_key('regress_ex_a');
DELETE FROM redoubt.key WHERE name = 'regress_ex_b';
SELECT * FROM redoubt.import_keys((SELECT all_of_them FROM regress_ex.export), 'correct horse battery');
SELECT redoubt.destroy_key('regress_ex_a', 'regress_ex_a');
SELECT * FROM redoubt.import_keys((SELECT all_of_them FROM regress_ex.export), 'correct horse battery');
SELECT name, version, state FROM redoubt.key WHERE name LIKE 'regress_ex%' ORDER BY name, version;
-- A copy of the database, whose keys another key-encryption key wraps.
DELETE FROM redoubt.key WHERE name LIKE 'regress_ex%';
INSERT INTO redoubt.key (name, version, wrapped, kek_fingerprint, created_by) SELECT name, version, wrapped, '0123456789abcdef', 'them' FROM regress_ex.saved WHERE version < 3;
SELECT count(*) AS not_opened FROM redoubt.verify_keys() WHERE name LIKE 'regress_ex%' AND NOT opens;
SELECT * FROM redoubt.import_keys((SELECT one FROM regress_ex.export), 'correct horse battery');
SELECT name, version, opens FROM redoubt.verify_keys() WHERE name LIKE 'regress_ex%' ORDER BY name, version;
-- One that is wrapped otherwise may be any key.
UPDATE redoubt.key SET wrapped = set_byte(wrapped, 5, get_byte(wrapped, 5) # 1), kek_fingerprint = '0123456789abcdef' WHERE name = 'regress_ex_a' AND version = 2;
SELECT * FROM redoubt.import_keys((SELECT one FROM regress_ex.export), 'correct horse battery');
DELETE FROM redoubt.key WHERE name = 'regress_ex_a' AND version = 3;
SELECT * FROM redoubt.import_keys((SELECT one FROM regress_ex.export), 'correct horse battery');
-- An export says what cannot be opened.
SET ROLE regress_ex_admin;
\set VERBOSITY terse
SELECT redoubt.export_keys('correct horse battery', '{regress_ex_a}');
\set VERBOSITY default
RESET ROLE;
SELECT event, operation, outcome, count, detail FROM redoubt.audit WHERE sequence > :mark AND operation LIKE '%port_keys' ORDER BY sequence;

-- --------------------------------------------------------------------- ends
SET client_min_messages = warning;
DELETE FROM redoubt.key WHERE name LIKE 'regress_ex%';
DROP TABLE regress_ex.kept;
SELECT redoubt.drop_token_type('regress_ex.token');
DROP SCHEMA regress_ex CASCADE;
DROP OWNED BY regress_ex_app, regress_ex_admin;
DROP ROLE regress_ex_app, regress_ex_admin;
