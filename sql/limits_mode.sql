--
-- redoubt.mode: learn counts and charges no limit, observe records what would have
-- happened and lets pass, enforce does it; the one who is limited cannot choose.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_mode_a LOGIN;
CREATE ROLE regress_mode_s LOGIN;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_mode_a, regress_mode_s;
SELECT redoubt.set_limit('regress_mode_a', 'email_token', 'tokenize', 2, '1 day') > 0 AS block,
       redoubt.set_limit('regress_mode_s', 'email_token', 'tokenize', 2, '1 day', on_excess => 'suspend') > 0 AS suspend;
SHOW redoubt.mode;

-- Learn: counted, no bucket charged.
ALTER ROLE regress_mode_a SET redoubt.mode = 'learn';
\c - regress_mode_a
SHOW redoubt.mode;
SELECT count(redoubt.email_token(format('u%s@example.com', n))) FROM generate_series(1, 5) AS n;
SELECT charged, remaining FROM redoubt.usage WHERE operation = 'tokenize';
-- Nobody sets it for oneself, by any way.
SET redoubt.mode = 'observe';
RESET redoubt.mode;
SELECT set_config('redoubt.mode', 'enforce', false);
ALTER ROLE regress_mode_a SET redoubt.mode = 'learn';
ALTER ROLE regress_mode_a RESET redoubt.mode;
CREATE FUNCTION pg_temp.learn() RETURNS void LANGUAGE sql SET redoubt.mode = 'learn' AS 'SELECT';

-- Observe: charged and recorded, not refused; a bucket in debt shows nothing left.
\c - postgres
SELECT coalesce(max(sequence), 0) AS before FROM redoubt.audit \gset
ALTER ROLE regress_mode_a SET redoubt.mode = 'observe';
ALTER ROLE regress_mode_s SET redoubt.mode = 'observe';
\c - regress_mode_a
SELECT count(redoubt.email_token(format('u%s@example.com', n))) FROM generate_series(1, 5) AS n;
SELECT charged, remaining FROM redoubt.usage WHERE operation = 'tokenize';
\c - regress_mode_s
SELECT count(redoubt.email_token(format('u%s@example.com', n))) FROM generate_series(1, 5) AS n;
\c - postgres
SELECT DISTINCT event, outcome, session_user_name, substring(detail FROM ';.*') AS detail FROM redoubt.audit
 WHERE session_user_name LIKE 'regress_mode%' AND sequence > :before AND event IN ('limit exceeded', 'block', 'suspend') ORDER BY session_user_name;

-- Enforce: what was observed was charged, and suspended nobody.  A suspended role passes where it is only observed.
ALTER ROLE regress_mode_a RESET redoubt.mode;
ALTER ROLE regress_mode_s RESET redoubt.mode;
\c - regress_mode_a
SELECT redoubt.email_token('u9@example.com') IS NULL;
\c - regress_mode_s
SELECT blocked FROM redoubt.usage WHERE operation = 'tokenize';
SELECT redoubt.email_token('u8@example.com') IS NULL;
SELECT redoubt.email_token('u9@example.com') IS NULL;
\c - postgres
ALTER ROLE regress_mode_s SET redoubt.mode = 'observe';
\c - regress_mode_s
SELECT redoubt.email_token('u9@example.com') IS NULL AS passes;

\c - postgres
SET client_min_messages = warning;
DELETE FROM redoubt.limit_rule WHERE role::text LIKE 'regress_mode%';
DROP OWNED BY regress_mode_a, regress_mode_s;
DROP ROLE regress_mode_a, regress_mode_s;
