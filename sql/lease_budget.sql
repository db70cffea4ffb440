/*
 * redoubt.lease_budget(): values that another server delivers, charged here.
 *
 * Proves: nobody may call it but who was granted EXECUTE; every limit that applies to the named role is charged, and what
 * it answers is what they leave, a sixteenth of it at once beyond what is needed; what comes back is no more than the
 * session was lent last; limits per statement do not count; each lease is an event; arguments are checked.
 * Two servers: test/tap/borrowed_budget.pl.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
CREATE ROLE regress_lease_server LOGIN;
CREATE ROLE regress_lease_reader LOGIN;
CREATE ROLE regress_lease_group;
CREATE ROLE "regress_lease Odd""one" LOGIN IN ROLE regress_lease_group;
CREATE FUNCTION remaining(who text) RETURNS bigint LANGUAGE sql AS
  $$SELECT min(remaining) FROM redoubt.explain_limit(who::regrole, 'redoubt.email_token', 'reveal') WHERE reason !~ 'in one statement'$$;

SET SESSION AUTHORIZATION regress_lease_server;
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 1, 64, 0);
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION redoubt.lease_budget(text, text, text, integer, integer, integer) TO regress_lease_server;

-- Where no limit applies, all that is wanted.
SET SESSION AUTHORIZATION regress_lease_server;
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 1, 64, 0);
RESET SESSION AUTHORIZATION;
SELECT role_name, operation, charged FROM redoubt.usage WHERE role_name = 'regress_lease_reader';

-- A sixteenth of what is left, or what is needed.
SELECT redoubt.set_limit('regress_lease_reader', 'redoubt.email_token', 'reveal', 160, '100 days') > 0 AS set;
SELECT redoubt.set_limit(NULL, 'redoubt.email_token', 'reveal', 3, 'statement') > 0 AS set;
SET SESSION AUTHORIZATION regress_lease_server;
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 1, 64, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 90, 100, 0);
-- More than is left: nothing is charged.
SELECT granted, on_excess, retry_ms > 0 AS later, longest_ms FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 61, 100, 0);
RESET SESSION AUTHORIZATION;
SELECT remaining('regress_lease_reader');

-- What comes back is what was lent last, once, and to the same session.
SET SESSION AUTHORIZATION regress_lease_server;
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 0, 0, 1000);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 0, 0, 90);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'masked', 0, 0, 90);
RESET SESSION AUTHORIZATION;
SELECT remaining('regress_lease_reader');
SET SESSION AUTHORIZATION regress_lease_server;
SELECT granted FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 50, 50, 0);
\c -
SET SESSION AUTHORIZATION regress_lease_server;
SELECT granted FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 0, 0, 50);
RESET SESSION AUTHORIZATION;
SELECT remaining('regress_lease_reader');

-- It is one budget: the role's own session has the rest.
CREATE TABLE lease_mail (email redoubt.email_token);
GRANT SELECT ON lease_mail TO regress_lease_reader;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.email_token(text) TO regress_lease_reader, regress_lease_server;
GRANT INSERT ON lease_mail TO regress_lease_server;
SET SESSION AUTHORIZATION regress_lease_server;
INSERT INTO lease_mail SELECT 'm' || i || '@example.com' FROM generate_series(1, 200) AS i;
SELECT granted FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 98, 98, 0);
SET SESSION AUTHORIZATION regress_lease_reader;
SELECT count(redoubt.detokenize(email)) FROM (SELECT email FROM lease_mail LIMIT 2) AS m;
\set VERBOSITY terse
SELECT count(redoubt.detokenize(email)) FROM (SELECT email FROM lease_mail LIMIT 1) AS m;
\set VERBOSITY default
RESET SESSION AUTHORIZATION;

-- Names: of a role that is in a limited one, quoted; what is not there.
SELECT redoubt.set_limit('regress_lease_group', NULL, 'read', 32, '100 days', on_excess => 'throttle', max_delay => '3 s') > 0 AS set;
SET SESSION AUTHORIZATION regress_lease_server;
SELECT * FROM redoubt.lease_budget('regress_lease Odd"one', '"redoubt"."phone_token"', 'read', 1, 100, 0);
SELECT granted FROM redoubt.lease_budget('regress_lease Odd"one', 'redoubt.phone_token', 'read', 40, 100, 0);
SELECT granted, on_excess, retry_ms BETWEEN 86400000 AND 3.2 * 86400000 AS later, longest_ms FROM redoubt.lease_budget('regress_lease Odd"one', 'redoubt.phone_token', 'read', 1, 100, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_nobody', 'redoubt.email_token', 'read', 1, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.nonsense', 'read', 1, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'nowhere.email_token', 'read', 1, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'email_token', 'read', 1, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'pg_catalog.text', 'read', 1, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'nonsense', 1, 1, 0);

-- Numbers.
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'read', 2, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'read', 0, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'read', 1, -1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'read', 1, 16385, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'read', 1, 1, -2147483648);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'read', 1, NULL, 0);
SELECT * FROM redoubt.lease_budget(NULL, 'redoubt.email_token', 'read', 1, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', NULL, 1, 1, 0);
-- Nothing: whether this server lends.
SELECT * FROM redoubt.lease_budget(NULL, NULL, NULL, 0, 0, 0);
RESET SESSION AUTHORIZATION;

-- A role that is suspended, here or there.
SELECT redoubt.set_limit('regress_lease_reader', 'redoubt.phone_token', 'masked', 1, '1 s', on_excess => 'suspend') > 0 AS set;
SET SESSION AUTHORIZATION regress_lease_server;
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.phone_token', 'masked', 1, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.phone_token', 'masked', 1, 1, 0);
SELECT * FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.phone_token', 'read', 1, 1, 0);
RESET SESSION AUTHORIZATION;
SELECT redoubt.lift_suspension('regress_lease_reader');

-- In observe nothing is refused, and what would have been is recorded.
SET redoubt.mode = 'observe';
SELECT granted FROM redoubt.lease_budget('regress_lease_reader', 'redoubt.email_token', 'reveal', 10, 10, 0);
RESET redoubt.mode;

SELECT session_user_name, event, outcome, token_type, operation, count, regexp_replace(detail, 'limit [0-9]+', 'limit N') AS detail
FROM redoubt.audit WHERE session_user_name = 'regress_lease_server' AND event IN ('lease', 'block', 'throttle', 'suspend') ORDER BY sequence;

SELECT redoubt.drop_limit(NULL, 'redoubt.email_token', 'reveal', 'statement');
SET client_min_messages = warning;
DROP TABLE lease_mail;
DROP FUNCTION remaining(text);
DROP OWNED BY regress_lease_server, regress_lease_reader, regress_lease_group;
DROP ROLE regress_lease_server, regress_lease_reader, regress_lease_group, "regress_lease Odd""one";
