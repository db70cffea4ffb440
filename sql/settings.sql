/*
 * The redoubt.* settings: what there is, and who may change what.
 *
 * Proves: everything that weakens protection is beyond SET, ALTER ROLE and ALTER
 * DATABASE, for superusers too; redoubt.reveal can be set by everyone and on
 * roles and gives nobody more than what was granted; the prefix is reserved; a
 * change of superuser_access in the configuration works at once, and back.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
CREATE ROLE regress_settings_app LOGIN;
SELECT current_user AS super \gset

-- Each setting: context, type, range and default.
SELECT name, context, vartype, enumvals, unit, min_val AS min, max_val AS max, boot_val AS "default"
FROM pg_settings WHERE name LIKE 'redoubt.%' ORDER BY name COLLATE "C";
SELECT name FROM pg_settings WHERE name LIKE 'redoubt.%' AND (short_desc IS NULL OR short_desc = '');
-- Here: nothing weakens protection.
SELECT current_setting('redoubt.superuser_access') AS superuser_access, current_setting('redoubt.reveal') AS reveal;

-- As a superuser: SET, set_config, SET LOCAL, on roles, on databases, on functions.
\set VERBOSITY sqlstate
SET redoubt.superuser_access = on;
SET redoubt.kek_file = '/nowhere';
SET redoubt.kek_command = 'true';
SET redoubt.audit_directory = '/nowhere';
SET redoubt.audit_durability = 'sync';
SET redoubt.audit_segment_size = '1MB';
SET redoubt.max_subjects = 200;
SET redoubt.budget_share = 0.5;
SELECT set_config('redoubt.superuser_access', 'on', false);
BEGIN;
SET LOCAL redoubt.superuser_access = on;
ROLLBACK;
ALTER ROLE regress_settings_app SET redoubt.superuser_access = on;
ALTER ROLE ALL SET redoubt.superuser_access = on;
ALTER ROLE regress_settings_app SET redoubt.kek_file = '/nowhere';
ALTER ROLE regress_settings_app SET redoubt.kek_command = 'true';
ALTER ROLE regress_settings_app SET redoubt.audit_directory = '/nowhere';
ALTER ROLE regress_settings_app SET redoubt.audit_durability = 'async';
ALTER DATABASE :"DBNAME" SET redoubt.superuser_access = on;
ALTER DATABASE :"DBNAME" SET redoubt.audit_durability = 'async';
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET redoubt.superuser_access = on AS $$SELECT current_setting('redoubt.superuser_access')$$;
UPDATE pg_settings SET setting = 'on' WHERE name = 'redoubt.superuser_access';
\set VERBOSITY default
SHOW redoubt.superuser_access;
SELECT count(*) AS kept FROM pg_db_role_setting, unnest(setconfig) AS s WHERE s LIKE 'redoubt.%' AND s NOT LIKE 'redoubt.reveal=%';
-- The messages.
SET redoubt.superuser_access = on;
ALTER ROLE regress_settings_app SET redoubt.superuser_access = on;
SET redoubt.kek_file = '/nowhere';
-- The prefix is reserved: a slip of the pen is an error.
SET redoubt.superuser_acces = on;
ALTER ROLE regress_settings_app SET redoubt.revael = 'auto';
SET redoubt.reveal = 'everything';
SET redoubt.reveal = '';

-- As an ordinary role.
SET ROLE regress_settings_app;
\set VERBOSITY sqlstate
SET redoubt.superuser_access = on;
SHOW redoubt.kek_file;
SHOW redoubt.kek_command;
SHOW redoubt.audit_directory;
SELECT current_setting('redoubt.kek_file');
ALTER SYSTEM SET redoubt.superuser_access = on;
SELECT count(*) AS visible FROM pg_settings WHERE name IN ('redoubt.kek_file', 'redoubt.kek_command', 'redoubt.audit_directory');
\set VERBOSITY default
-- reveal is everyone's own, and no privilege.
SET redoubt.reveal = 'token';
SET redoubt.reveal = 'masked';
SET redoubt.reveal = 'plain';
SET redoubt.reveal = 'AUTO';
SHOW redoubt.reveal;
RESET redoubt.reveal;
ALTER ROLE regress_settings_app SET redoubt.reveal = 'auto';
RESET ROLE;

-- On the role: what its next session begins with.
CREATE TABLE regress_settings_value (email redoubt.email_token);
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_settings_app;
GRANT SELECT, INSERT ON regress_settings_value TO regress_settings_app;
\c - regress_settings_app
SHOW redoubt.reveal;
INSERT INTO regress_settings_value VALUES ('alice@example.com');
-- auto is the most that is granted: nothing yet.
SELECT format('%s', email) LIKE 'tok\_%' AS token FROM regress_settings_value;
SET redoubt.reveal = 'plain';
SELECT email FROM regress_settings_value;
SET redoubt.reveal = 'masked';
SELECT email FROM regress_settings_value;
RESET redoubt.reveal;
\c - :super
GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token) TO regress_settings_app;
\c - regress_settings_app
SELECT email FROM regress_settings_value;
\c - :super
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_settings_app;
\c - regress_settings_app
SELECT email FROM regress_settings_value;
SET redoubt.reveal = 'masked';
SELECT email FROM regress_settings_value;
\c - :super
ALTER ROLE regress_settings_app RESET redoubt.reveal;
-- A function may ask for what it needs, and leaves the session's setting as it was.
CREATE FUNCTION regress_settings_plain() RETURNS text LANGUAGE sql SECURITY DEFINER SET redoubt.reveal = 'plain'
  AS $$SELECT email::text FROM regress_settings_value$$;
ALTER FUNCTION regress_settings_plain() OWNER TO regress_settings_app;
SELECT regress_settings_plain(), current_setting('redoubt.reveal') AS session;
DROP FUNCTION regress_settings_plain();

-- superuser_access: by the configuration only, for all sessions at once, and back.
\set VERBOSITY sqlstate
SELECT redoubt.detokenize(email) FROM regress_settings_value;
ALTER SYSTEM SET redoubt.superuser_access = on;
SELECT pg_reload_conf();
SELECT pg_sleep(1);
SHOW redoubt.superuser_access;
SELECT redoubt.detokenize(email) FROM regress_settings_value;
-- It is for superusers, nobody else.
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) FROM regress_settings_app;
SET ROLE regress_settings_app;
SELECT redoubt.detokenize(email) FROM regress_settings_value;
RESET ROLE;
ALTER SYSTEM RESET redoubt.superuser_access;
SELECT pg_reload_conf();
SELECT pg_sleep(1);
SHOW redoubt.superuser_access;
SELECT redoubt.detokenize(email) FROM regress_settings_value;
\set VERBOSITY default

-- What a sort says of itself tells for which rows a subquery was run: only superusers have it told.
SET ROLE regress_settings_app;
SET trace_sort = on;
RESET ROLE;

-- The built-in default of search_path ends in redoubt, where only the extension's owner creates; any explicit setting replaces it.
SHOW search_path;
SELECT has_schema_privilege('public', 'redoubt', 'CREATE') AS anyone_can_create;
SET search_path = public;
SHOW search_path;
RESET search_path;

-- ----------------------------------------------------------------- ends
DROP TABLE regress_settings_value;
DROP OWNED BY regress_settings_app;
DROP ROLE regress_settings_app;
