--
-- explain_limit: every limit that applies, through which membership, how it stands
-- and which of them decides; and who may ask about whom.  The view activity, as
-- far as one session can see: nobody sleeps here (test/isolation has sleepers).
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_explain_admin LOGIN IN ROLE redoubt_admin;
CREATE ROLE regress_explain_auditor LOGIN IN ROLE redoubt_auditor;
CREATE ROLE regress_explain_staff;
CREATE ROLE regress_explain_support IN ROLE regress_explain_staff;
CREATE ROLE regress_explain_a LOGIN IN ROLE regress_explain_support;
CREATE ROLE regress_explain_b LOGIN;
CREATE ROLE regress_explain_super LOGIN SUPERUSER;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token) TO regress_explain_a, regress_explain_b;

\c - regress_explain_admin
SET search_path = redoubt, public;
SELECT count(*) FROM explain_limit('regress_explain_a', 'email_token', 'tokenize') WHERE limit_role IS NOT NULL;
SELECT set_limit('regress_explain_a', 'email_token', 'tokenize', 9, '1 day') > 0 AS own,
       set_limit('regress_explain_staff', NULL, 'tokenize', 5, '1 day', on_excess => 'throttle', max_delay => '2 days') > 0 AS staff,
       set_limit('regress_explain_support', 'email_token', 'tokenize', 6, '1 hour', on_excess => 'log') > 0 AS support,
       set_limit('regress_explain_staff', 'email_token', 'reveal', 7, '1 day', on_excess => 'suspend', shared => true) > 0 AS other_operation,
       set_limit('regress_explain_b', 'email_token', 'tokenize', 1, '1 day') > 0 AS other_role,
       set_limit('regress_explain_a', 'name_token', 'tokenize', 1, '1 day') > 0 AS other_type;
SELECT e.strictest, e.reason, e.via, e.limit_type, e.limit_operation, e.max_values, e.on_excess, e.shared, e.remaining,
       e.next_allowed > now() AS later, e.suspended_since <= now() AS suspended
  FROM explain_limit('regress_explain_a', 'email_token', 'tokenize') AS e WHERE e.via <> 'every role' ORDER BY e.strictest DESC, e.via, e.limit_operation;
\c - regress_explain_a
SELECT redoubt.email_token('a@example.com') IS NULL, redoubt.email_token('b@example.com') IS NULL, redoubt.email_token('c@example.com') IS NULL,
       redoubt.email_token('d@example.com') IS NULL, redoubt.email_token('e@example.com') IS NULL;
-- One's own: the same rows.
SELECT strictest, reason, via, max_values, remaining, next_allowed > now() AS later FROM redoubt.explain_limit('regress_explain_a', 'redoubt.email_token', 'tokenize') WHERE via <> 'every role' ORDER BY via, limit_operation;
-- Where waiting would take too long a throttle blocks; and block comes before waiting.
\c - regress_explain_admin
SET search_path = redoubt, public;
SELECT set_limit('regress_explain_staff', NULL, 'tokenize', 5, '1 day', on_excess => 'throttle', max_delay => '1 s') > 0 AS impatient;
SELECT strictest, reason FROM explain_limit('regress_explain_a', 'email_token', 'tokenize') WHERE via LIKE '%> regress_explain_staff' AND limit_operation = 'tokenize';
SELECT set_limit('regress_explain_staff', NULL, 'tokenize', 5, '1 day', on_excess => 'throttle', max_delay => '2 days') > 0 AS patient,
       set_limit('regress_explain_a', 'email_token', 'tokenize', 1, '1 day') > 0 AS own;
SELECT strictest, reason, via FROM explain_limit('regress_explain_a', 'email_token', 'tokenize') WHERE strictest;
-- Suspended is the strictest, whatever the operation.
\c - regress_explain_super
CREATE TABLE public.explain_t (email redoubt.email_token);
GRANT SELECT, INSERT ON explain_t TO regress_explain_a, regress_explain_b;
\c - regress_explain_b
INSERT INTO explain_t VALUES ('a@example.com');
\c - regress_explain_a
SELECT count(redoubt.detokenize(email)) FROM explain_t, generate_series(1, 7);
SELECT redoubt.detokenize(email) FROM explain_t;
SELECT strictest, reason, via, limit_operation, suspended_since <= now() AS suspended FROM redoubt.explain_limit('regress_explain_a', 'redoubt.email_token', 'masked') ORDER BY via, limit_operation;
-- Of others only for administrators and auditors.  A superuser is limited by what it was granted, not by every limit there is.
SELECT * FROM redoubt.explain_limit('regress_explain_b', 'redoubt.email_token', 'tokenize');
SELECT * FROM redoubt.limit_standing('regress_explain_b', 'redoubt.email_token', 'tokenize');
\c - regress_explain_auditor
SELECT reason, via FROM redoubt.explain_limit('regress_explain_b', 'redoubt.email_token', 'tokenize') WHERE via <> 'every role';
\c - regress_explain_super
SELECT count(*) FROM redoubt.explain_limit('regress_explain_super', 'redoubt.email_token', 'tokenize') WHERE via <> 'every role';
-- Arguments.
SELECT * FROM redoubt.explain_limit(NULL, 'redoubt.email_token', 'tokenize');
SELECT * FROM redoubt.explain_limit('regress_explain_b', NULL, 'tokenize');
SELECT * FROM redoubt.explain_limit('regress_explain_b', 'int4', 'tokenize');
SELECT * FROM redoubt.explain_limit('regress_explain_b', 'redoubt.email_token', 'steal');
-- Nobody sleeps.
SELECT * FROM redoubt.activity;

\c - postgres
SET client_min_messages = warning;
DROP TABLE explain_t;
DELETE FROM redoubt.limit_rule WHERE role::text LIKE 'regress_explain%';
DROP OWNED BY regress_explain_admin, regress_explain_auditor, regress_explain_staff, regress_explain_support, regress_explain_a, regress_explain_b, regress_explain_super;
DROP ROLE regress_explain_admin, regress_explain_auditor, regress_explain_staff, regress_explain_support, regress_explain_a, regress_explain_b, regress_explain_super;
