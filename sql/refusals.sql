-- A statement that a limit stops has told how far it came: to a row, or to an end.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_refused;
CREATE TABLE refused_t (id int PRIMARY KEY, email text);
SECURITY LABEL FOR redoubt ON COLUMN refused_t.email IS 'email_token';
INSERT INTO refused_t SELECT i, 'user' || i || '@example.com' FROM generate_series(1, 9) i;
GRANT SELECT, UPDATE ON refused_t TO regress_refused;
SELECT redoubt.set_limit('regress_refused', 'redoubt.email_token', 'read', 2, '100 days') > 0 AS read,
       redoubt.set_limit('regress_refused', 'redoubt.email_token', 'probe', 4, '100 days') > 0 AS probe;
SET SESSION AUTHORIZATION regress_refused;
SELECT email FROM refused_t WHERE id <= 2;
-- no reads are left: a row is refused, and is an answer
SELECT email FROM refused_t WHERE id = 5 AND email <> 'user1@example.com';
SELECT email || email FROM refused_t WHERE id = 5 AND email <> 'user2@example.com';
SELECT id FROM refused_t WHERE id = 5 AND email = 'user5@example.com';
RESET SESSION AUTHORIZATION;
SELECT operation, charged FROM redoubt.usage WHERE role_name = 'regress_refused' AND charged > 0 ORDER BY operation;
SET SESSION AUTHORIZATION regress_refused;
SELECT count(*) FROM refused_t WHERE id = 5 AND email = 'user5@example.com';
-- no probes are left
DO $$ BEGIN PERFORM id FROM refused_t WHERE id = 6 AND email = 'user6@example.com' FOR UPDATE; EXCEPTION WHEN configuration_limit_exceeded THEN NULL; END $$;
SELECT id FROM refused_t WHERE xmax <> 0;
-- a row, or none: neither is told, and what is refused leaves a debt
SELECT email FROM refused_t WHERE id = 5 AND email = 'user7@example.com';
SELECT email FROM refused_t WHERE id = 5 AND email = 'user5@example.com';
RESET SESSION AUTHORIZATION;
SELECT operation, charged FROM redoubt.usage WHERE role_name = 'regress_refused' AND charged > 0 ORDER BY operation;
DROP TABLE refused_t;
SELECT redoubt.drop_limit('regress_refused', 'redoubt.email_token', 'read') > 0 AS read,
       redoubt.drop_limit('regress_refused', 'redoubt.email_token', 'probe') > 0 AS probe;
DROP ROLE regress_refused;
