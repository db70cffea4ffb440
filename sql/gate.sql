--
-- The gate: EXECUTE on detokenize, mask and the cast function is the privilege
-- to reveal, to reveal masked and to tokenize.  Nobody holds it after CREATE
-- EXTENSION, GRANT and REVOKE count at once, and no detour (superuser, owner,
-- SECURITY DEFINER, view, C function of one's own) gets past it.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse

CREATE ROLE regress_gate_writer;
CREATE ROLE regress_gate_lead;
CREATE ROLE regress_gate_agent LOGIN;
CREATE ROLE regress_gate_rogue LOGIN;
CREATE ROLE regress_gate_super LOGIN SUPERUSER;
CREATE ROLE regress_gate_auditor LOGIN IN ROLE redoubt_auditor;
CREATE SCHEMA gate_test;
GRANT ALL ON SCHEMA gate_test TO PUBLIC;
RESET client_min_messages;

SELECT coalesce(max(sequence), 0) AS before_test FROM redoubt.audit \gset

-- ---------------------------------------------------------- nobody, at first

-- No gate function of a type that ships has a privilege for anyone, and none
-- has the default one either (a null proacl would mean PUBLIC).
SELECT p.oid::regprocedure AS gate, p.proacl
FROM pg_proc AS p JOIN redoubt.token_type AS t ON t.shipped AND t.typ IN (p.proargtypes[0], p.prorettype)
WHERE p.prosrc IN ('redoubt_detokenize', 'redoubt_mask', 'redoubt_tokenize_text', 'redoubt_tokenize_bytes')
  AND (p.proacl IS NULL OR cardinality(p.proacl) > 0)
ORDER BY 1;

-- Not the superuser who installed the extension and owns the functions.
SELECT session_user, (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AS super,
       (SELECT proowner::regrole = session_user::regrole FROM pg_proc WHERE oid = 'redoubt.detokenize(redoubt.email_token)'::regprocedure) AS owns;
SELECT 'gate@example.com'::redoubt.email_token;
SELECT redoubt.email_token('gate@example.com');
SELECT 'gate@example.com'::text::redoubt.email_token;
SELECT 'gate@example.com'::varchar::redoubt.email_token;
SELECT 'gate@example.com'::char(20)::redoubt.email_token;
SELECT redoubt.email_token('gate@example.com'::bpchar);
SELECT '\x00'::bytea::redoubt.bytes_token;

GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.phone_token(text) TO regress_gate_writer;
SET ROLE regress_gate_writer;
CREATE TABLE gate_test.customer (id int PRIMARY KEY, email redoubt.email_token, phone redoubt.phone_token);
INSERT INTO gate_test.customer VALUES (1, 'alice@example.com', '+1 697-555-0142'), (2, 'bob@example.org', '+1 697-555-0143');
GRANT SELECT ON gate_test.customer TO PUBLIC;
-- The writer tokenizes and reads back tokens, nothing more.
SELECT id, format('%s', email) LIKE 'tok\_%' AS is_token, email = 'alice@example.com' AS found FROM gate_test.customer ORDER BY id;
SELECT redoubt.detokenize(email) FROM gate_test.customer;
SELECT redoubt.mask(email) FROM gate_test.customer;
RESET ROLE;

-- The superuser sees tokens by default, and an error where he insists.
SELECT redoubt.detokenize(email) FROM gate_test.customer;
SELECT redoubt.mask(email) FROM gate_test.customer;
SET redoubt.reveal = 'plain';
SELECT email FROM gate_test.customer;
SET redoubt.reveal = 'masked';
SELECT email FROM gate_test.customer;
SET redoubt.reveal = 'auto';
SELECT count(*) FROM (SELECT format('%s', email) AS e FROM gate_test.customer) AS s WHERE e LIKE 'tok\_%';
RESET redoubt.reveal;
SHOW redoubt.superuser_access;
SET redoubt.superuser_access = on;

-- ------------------------------------------------------------------- GRANT

\c - regress_gate_agent
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
-- A statement prepared before the grant: refused, allowed, refused.
PREPARE peek AS SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
EXECUTE peek;
\c - postgres
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_gate_agent;
\c - regress_gate_agent
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
-- One type is one type, and reveal is not masked reveal.
SELECT redoubt.detokenize(phone) FROM gate_test.customer WHERE id = 1;
SELECT redoubt.mask(email) FROM gate_test.customer WHERE id = 1;
SELECT 'alice@example.com'::redoubt.email_token;

-- REVOKE in the same session, seen by the cached decision and the saved plan.
\c - postgres
SET ROLE regress_gate_agent;
PREPARE peek AS SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
PREPARE peek_out AS SELECT email FROM gate_test.customer WHERE id = 1;
SET redoubt.reveal = 'plain';
EXECUTE peek;
EXECUTE peek_out;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) FROM regress_gate_agent;
SET ROLE regress_gate_agent;
EXECUTE peek;
EXECUTE peek_out;
RESET ROLE;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_gate_agent;
SET ROLE regress_gate_agent;
EXECUTE peek;
EXECUTE peek_out;
RESET ROLE;
-- A grant that is rolled back was none, also for the cache.
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) FROM regress_gate_agent;
BEGIN;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_gate_agent;
SET LOCAL ROLE regress_gate_agent;
EXECUTE peek_out;
ROLLBACK;
SET ROLE regress_gate_agent;
EXECUTE peek_out;
RESET ROLE;
RESET redoubt.reveal;
DEALLOCATE ALL;

-- Through membership; not where the member does not inherit, until SET ROLE.
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_gate_lead;
GRANT regress_gate_lead TO regress_gate_agent;
\c - regress_gate_agent
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
\c - postgres
ALTER ROLE regress_gate_agent NOINHERIT;
-- From 16 on a grant of membership remembers whether the member inherited when it was made.
REVOKE regress_gate_lead FROM regress_gate_agent;
GRANT regress_gate_lead TO regress_gate_agent;
\c - regress_gate_agent
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
SET redoubt.reveal = 'auto';
SELECT format('%s', email) LIKE 'tok\_%' AS is_token FROM gate_test.customer WHERE id = 1;
SET ROLE regress_gate_lead;
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
SELECT email FROM gate_test.customer WHERE id = 1;
RESET ROLE;
\c - postgres
ALTER ROLE regress_gate_agent INHERIT;
REVOKE regress_gate_lead FROM regress_gate_agent;
GRANT regress_gate_lead TO regress_gate_agent;
-- Leaving the role counts at once, in a session that has a cached decision.
SET ROLE regress_gate_agent;
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
RESET ROLE;
REVOKE regress_gate_lead FROM regress_gate_agent;
SET ROLE regress_gate_agent;
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
RESET ROLE;

-- WITH GRANT OPTION passes on, and CASCADE takes back.
GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token) TO regress_gate_lead WITH GRANT OPTION;
SET ROLE regress_gate_lead;
GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token) TO regress_gate_rogue;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_gate_rogue; -- no grant option: refused
RESET ROLE;
\c - regress_gate_rogue
SELECT redoubt.mask(email) FROM gate_test.customer WHERE id = 1;
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
\c - postgres
REVOKE EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token) FROM regress_gate_lead CASCADE;
\c - regress_gate_rogue
SELECT redoubt.mask(email) FROM gate_test.customer WHERE id = 1;
\c - postgres

-- To PUBLIC: then everyone, superusers included.
GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token) TO PUBLIC;
SELECT redoubt.mask(email) FROM gate_test.customer WHERE id = 1;
SET ROLE regress_gate_rogue;
SELECT redoubt.mask(email) FROM gate_test.customer WHERE id = 1;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token) FROM PUBLIC;
SELECT redoubt.mask(email) FROM gate_test.customer WHERE id = 1;

-- To a superuser: he counts as anyone else; and a superuser is no member of every role.
\c - regress_gate_super
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
SET ROLE regress_gate_lead;  -- but he may become one, which the trail shows
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
RESET ROLE;
\c - postgres
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_gate_super;
\c - regress_gate_super
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
\c - postgres
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) FROM regress_gate_super;
GRANT regress_gate_lead TO regress_gate_super;
\c - regress_gate_super
SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = 1;
\c - postgres
REVOKE regress_gate_lead FROM regress_gate_super;

-- ------------------------------------------------- definers, views, SET ROLE

-- SECURITY DEFINER: the privilege is the owner's, the budget the caller's.
CREATE FUNCTION gate_test.email_of(integer) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS 'SELECT redoubt.detokenize(email) FROM gate_test.customer WHERE id = $1';
ALTER FUNCTION gate_test.email_of(integer) OWNER TO regress_gate_lead;
SELECT redoubt.reset_usage();
\c - regress_gate_rogue
SELECT gate_test.email_of(1), gate_test.email_of(2);
SELECT role, token_type, operation, charged FROM redoubt.usage WHERE operation = 'reveal';
-- What a definer function makes of tokens stays tokens, unless it says otherwise
-- itself: a caller's redoubt.reveal does not speak for the owner.
\c - postgres
CREATE FUNCTION gate_test.card_of(integer) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT row_to_json(c)::text FROM gate_test.customer AS c WHERE id = $1';
CREATE FUNCTION gate_test.card_revealed(integer) RETURNS text LANGUAGE sql SECURITY DEFINER SET redoubt.reveal = 'auto' AS 'SELECT row_to_json(c)::text FROM gate_test.customer AS c WHERE id = $1';
CREATE FUNCTION gate_test.card_assigned(integer) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS 'DECLARE e redoubt.email_token; BEGIN SELECT email INTO e FROM gate_test.customer WHERE id = $1; RETURN e; END';
ALTER FUNCTION gate_test.card_of(integer) OWNER TO regress_gate_lead;
ALTER FUNCTION gate_test.card_revealed(integer) OWNER TO regress_gate_lead;
ALTER FUNCTION gate_test.card_assigned(integer) OWNER TO regress_gate_lead;
\c - regress_gate_rogue
SET redoubt.reveal = 'auto';
SELECT gate_test.card_of(1) LIKE '%tok\_%tok\_%' AS tokens, gate_test.card_assigned(1) LIKE 'tok\_%' AS token;
SELECT gate_test.card_revealed(1) LIKE '%"alice@example.com"%tok\_%' AS by_the_owner;
SELECT gate_test.card_of(1) LIKE '%tok\_%tok\_%' AS still_tokens;
SET redoubt.reveal = 'plain';
SELECT gate_test.card_of(1);
SELECT gate_test.card_assigned(1);
RESET redoubt.reveal;
ALTER ROLE regress_gate_rogue SET redoubt.reveal = 'auto';
\c - regress_gate_rogue
SELECT gate_test.card_of(1) LIKE '%tok\_%tok\_%' AS tokens;
ALTER ROLE regress_gate_rogue RESET redoubt.reveal;
-- The lead's own session reveals in it as anywhere.
\c - postgres
SET ROLE regress_gate_lead;
SET redoubt.reveal = 'auto';
SELECT gate_test.card_of(1) LIKE '%"alice@example.com"%' AS lead;
RESET ROLE;
RESET redoubt.reveal;
-- A view lends its owner's right to the table, not to the function.
CREATE VIEW gate_test.plain_customer AS SELECT id, redoubt.detokenize(email) AS email FROM gate_test.customer;
CREATE VIEW gate_test.token_customer AS SELECT id, email FROM gate_test.customer;
ALTER VIEW gate_test.plain_customer OWNER TO regress_gate_lead;
ALTER VIEW gate_test.token_customer OWNER TO regress_gate_lead;
GRANT SELECT ON gate_test.plain_customer, gate_test.token_customer TO PUBLIC;
\c - regress_gate_rogue
SELECT * FROM gate_test.plain_customer;
SET redoubt.reveal = 'plain';
SELECT * FROM gate_test.token_customer;
RESET redoubt.reveal;
-- SECURITY INVOKER functions lend nothing, inlined or not, SQL or plpgsql.
CREATE FUNCTION gate_test.inlined(redoubt.email_token) RETURNS text LANGUAGE sql AS 'SELECT redoubt.detokenize($1)';
CREATE FUNCTION gate_test.disguised(redoubt.email_token) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT redoubt.detokenize($1)';
CREATE FUNCTION gate_test.procedural(redoubt.email_token) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN redoubt.detokenize($1); END';
SELECT gate_test.inlined(email) FROM gate_test.customer;
SELECT gate_test.disguised(email) FROM gate_test.customer;
SELECT gate_test.procedural(email) FROM gate_test.customer;
SET ROLE regress_gate_lead;
SET SESSION AUTHORIZATION regress_gate_lead;
-- A definer function of one's own is no way up.
CREATE FUNCTION gate_test.own(redoubt.email_token) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT redoubt.detokenize($1)';
SELECT gate_test.own(email) FROM gate_test.customer;
\set VERBOSITY sqlstate
ALTER FUNCTION gate_test.own(redoubt.email_token) OWNER TO regress_gate_lead;
\set VERBOSITY terse
-- Nor are types, casts and C functions of one's own.
CREATE FUNCTION gate_test.steal(redoubt.email_token) RETURNS text AS '$libdir/redoubt', 'redoubt_detokenize' LANGUAGE c;
CREATE CAST (redoubt.email_token AS bytea) WITHOUT FUNCTION;
CREATE DOMAIN gate_test.mail AS redoubt.email_token;
CREATE CAST (redoubt.email_token AS redoubt.phone_token) WITH INOUT;
SELECT redoubt.detokenize(email::gate_test.mail) FROM gate_test.customer;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_gate_rogue;
ALTER FUNCTION redoubt.detokenize(redoubt.email_token) OWNER TO regress_gate_rogue;
ALTER FUNCTION redoubt.detokenize(redoubt.email_token) RENAME TO mine;
CREATE FUNCTION redoubt.mine(redoubt.email_token) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
INSERT INTO redoubt.token_type SELECT * FROM redoubt.token_type;
UPDATE redoubt.token_type SET mask = 'none';
SELECT redoubt.create_token_type('gate_test.mine');
SELECT redoubt.create_key('mine');
SELECT redoubt.set_limit(NULL, NULL, 'reveal', 1, '1 s');
SELECT * FROM redoubt.audit;
SELECT wrapped FROM redoubt.key;

-- ------------------------------------------------- the support functions, directly

SELECT redoubt.email_token_out(email)::text LIKE 'tok\_%' AS out FROM gate_test.customer WHERE id = 1;
SELECT convert_from(redoubt.email_token_send(email), 'UTF8') LIKE 'tok\_%' AS send FROM gate_test.customer WHERE id = 1;
SELECT redoubt.email_token_in('alice@example.com', 0, -1);
SELECT redoubt.email_token_in(redoubt.email_token_out(email), 0, -1) = email AS in_out FROM gate_test.customer WHERE id = 1;
SET redoubt.reveal = 'plain';
SELECT redoubt.email_token_out(email) FROM gate_test.customer WHERE id = 1;
SELECT redoubt.email_token_send(email) FROM gate_test.customer WHERE id = 1;
SELECT array_out(ARRAY[email]), record_out(ROW(email)) FROM gate_test.customer WHERE id = 1;
RESET redoubt.reveal;
-- Every way in is the input function, and asks.
SELECT '{alice@example.com}'::redoubt.email_token[];
SELECT '(1,alice@example.com,)'::gate_test.customer;
SELECT jsonb_populate_record(NULL::gate_test.customer, '{"email": "alice@example.com"}');
SELECT id FROM gate_test.customer WHERE email = 'alice@example.com';
-- A token of one class is no token of another.
\c - postgres
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.phone_token), redoubt.mask(redoubt.phone_token) TO regress_gate_rogue;
\c - regress_gate_rogue
SELECT email::text AS email_token FROM gate_test.customer WHERE id = 1 \gset
SELECT redoubt.detokenize(:'email_token'::redoubt.phone_token);
SELECT redoubt.mask(:'email_token'::redoubt.phone_token);

-- ------------------------------------------------- what a superuser tries

\c - regress_gate_super
-- The library's functions under other names ask the same gate.
CREATE FUNCTION gate_test.steal(redoubt.email_token) RETURNS text AS '$libdir/redoubt', 'redoubt_detokenize' LANGUAGE c;
SELECT gate_test.steal(email) FROM gate_test.customer WHERE id = 1;
CREATE FUNCTION gate_test.steal_masked(redoubt.email_token) RETURNS text AS '$libdir/redoubt', 'redoubt_mask' LANGUAGE c;
SELECT gate_test.steal_masked(email) FROM gate_test.customer WHERE id = 1;
CREATE FUNCTION gate_test.forge(text) RETURNS redoubt.email_token AS '$libdir/redoubt', 'redoubt_tokenize_text' LANGUAGE c;
SELECT gate_test.forge('alice@example.com');
-- A type that pretends to be a token type has no policy and no key.
CREATE FUNCTION gate_test.steal_bytes(bytea) RETURNS text AS '$libdir/redoubt', 'redoubt_detokenize' LANGUAGE c;
SELECT gate_test.steal_bytes('\x0100010000000000000000000000000000000000000000'::bytea);
DROP FUNCTION gate_test.steal, gate_test.steal_masked, gate_test.forge, gate_test.steal_bytes;
-- Default privileges of the installing role do not open a new type.
ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT EXECUTE ON FUNCTIONS TO regress_gate_rogue;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA redoubt, gate_test GRANT EXECUTE ON FUNCTIONS TO regress_gate_rogue WITH GRANT OPTION;
SELECT redoubt.create_token_type('gate_test.plan_token');
SELECT p.oid::regprocedure AS gate, cardinality(p.proacl) AS privileges
FROM pg_proc AS p JOIN redoubt.token_type AS t ON t.typ = 'gate_test.plan_token'::regtype AND t.typ IN (p.proargtypes[0], p.prorettype)
WHERE p.prosrc IN ('redoubt_detokenize', 'redoubt_mask', 'redoubt_tokenize_text')
ORDER BY 1;
SELECT redoubt.drop_token_type('gate_test.plan_token');
ALTER DEFAULT PRIVILEGES FOR ROLE postgres REVOKE EXECUTE ON FUNCTIONS FROM regress_gate_rogue;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA redoubt, gate_test REVOKE EXECUTE ON FUNCTIONS FROM regress_gate_rogue;
-- A new owner gains nothing that nobody granted; what the old one had been granted moves on.
ALTER FUNCTION redoubt.mask(redoubt.name_token) OWNER TO regress_gate_lead;
SELECT proacl FROM pg_proc WHERE oid = 'redoubt.mask(redoubt.name_token)'::regprocedure;
ALTER FUNCTION redoubt.mask(redoubt.name_token) OWNER TO postgres;
SELECT proacl FROM pg_proc WHERE oid = 'redoubt.mask(redoubt.name_token)'::regprocedure;
-- A function made anew in the gate's place has default privileges: that is nobody.
BEGIN;
ALTER FUNCTION redoubt.mask(redoubt.name_token) RENAME TO was_mask;
CREATE FUNCTION redoubt.mask(redoubt.name_token) RETURNS text AS '$libdir/redoubt', 'redoubt_mask' LANGUAGE c STRICT;
GRANT EXECUTE ON FUNCTION redoubt.name_token(text) TO regress_gate_super;
SELECT redoubt.mask('Alice'::redoubt.name_token);
ROLLBACK;

-- DROP OWNED takes the privileges of the dropped.
\c - postgres
GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token) TO regress_gate_rogue;
DROP OWNED BY regress_gate_rogue;
\c - regress_gate_rogue
SELECT redoubt.mask(email) FROM gate_test.customer WHERE id = 1;

-- ------------------------------------------------- all of it is in the trail

\c - regress_gate_auditor
-- Denials: by the executor's check of EXECUTE and by the functions' own.
SELECT DISTINCT session_user_name, current_user_name, operation, token_type, detail
FROM redoubt.audit
WHERE event = 'denial' AND outcome = 'denied' AND sequence > :before_test
ORDER BY 1, 2, 3, 4, 5;
-- Grants and revokes, by every command that makes them.
SELECT DISTINCT session_user_name, operation, token_type
FROM redoubt.audit
WHERE event = 'grant' AND sequence > :before_test
ORDER BY 1, 2, 3;
SELECT ok, problem FROM redoubt.verify_audit();

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA gate_test CASCADE;
DROP OWNED BY regress_gate_writer, regress_gate_lead, regress_gate_agent, regress_gate_rogue, regress_gate_super, regress_gate_auditor;
DROP ROLE regress_gate_writer, regress_gate_lead, regress_gate_agent, regress_gate_rogue, regress_gate_super, regress_gate_auditor;
