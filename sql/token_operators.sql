/*
 * Tokens in the planner and in indexes: equality, order, hash, and their plans.
 *
 * Proves: operators agree with the plaintexts' equality and form one total order;
 * a literal is folded at parse time and found through btree and hash indexes; hash
 * and merge joins, DISTINCT, GROUP BY, unique and foreign keys, hash partitions work;
 * constraint errors show tokens; tokens of two key versions are equal throughout.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
CREATE ROLE regress_operators_app;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token),
  redoubt.bytes_token(bytea), redoubt.detokenize(redoubt.bytes_token) TO regress_operators_app;
SELECT redoubt.create_key('regress_operators');
CREATE SCHEMA regress_operators AUTHORIZATION regress_operators_app;
SELECT redoubt.create_token_type('regress_operators.code_token', key => 'regress_operators');
GRANT EXECUTE ON FUNCTION regress_operators.code_token(text), redoubt.detokenize(regress_operators.code_token) TO regress_operators_app;
-- Without redoubt in the path: the operators of the types that ship are found all the same.
SET search_path = regress_operators;
SET ROLE regress_operators_app;

-- A plan, with token bytes (which depend on a random key) replaced.
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    RETURN NEXT regexp_replace(line, 'tok_[A-Za-z0-9_-]+', 'tok_*', 'g');
  END LOOP;
END
$$;

-- ------------------------------------------------------------- the operators
CREATE TABLE customer (id int, email redoubt.email_token);
INSERT INTO customer SELECT n, 'user' || n || '@example.com' FROM generate_series(1, 1000) AS n;
-- Equality is that of the normalised plaintexts.
SELECT bool_and((a.email = b.email) = (a.id = b.id)) AS equality, bool_and((a.email <> b.email) = (a.id <> b.id)) AS inequality
FROM customer AS a, customer AS b WHERE a.id <= 60 AND b.id <= 60;
-- One total order: exactly one of < = > holds, <= and >= follow, < is transitive, and sorting obeys it.
SELECT bool_and((a.email < b.email)::int + (a.email = b.email)::int + (a.email > b.email)::int = 1) AS trichotomy,
       bool_and((a.email <= b.email) = (a.email < b.email OR a.email = b.email)) AS le,
       bool_and((a.email >= b.email) = (a.email > b.email OR a.email = b.email)) AS ge,
       bool_and((a.email < b.email) = (b.email > a.email)) AS commutator
FROM customer AS a, customer AS b WHERE a.id <= 60 AND b.id <= 60;
SELECT bool_and(a.email < c.email) AS transitive
FROM customer AS a, customer AS b, customer AS c
WHERE a.id <= 25 AND b.id <= 25 AND c.id <= 25 AND a.email < b.email AND b.email < c.email;
SELECT bool_and(previous <= email) AS sorted, count(*) FROM (SELECT email, lag(email) OVER (ORDER BY email) AS previous FROM customer) AS t;
SELECT bool_and(previous >= email) AS sorted_downwards FROM (SELECT email, lag(email) OVER (ORDER BY email DESC) AS previous FROM customer) AS t;
-- The order is of tokens, and says nothing of the plaintexts'.
SELECT count(*) BETWEEN 300 AND 700 AS unrelated_to_plaintext
FROM (SELECT id, lag(id) OVER (ORDER BY email) AS previous FROM customer) AS t WHERE previous < id;
SELECT (SELECT email FROM customer ORDER BY email LIMIT 1) = (SELECT email FROM customer ORDER BY email DESC OFFSET 999) AS first_is_last;
-- Beside NULL.
SELECT count(*) FILTER (WHERE email IS NULL) AS nulls, count(email = 'user1@example.com') AS compared
FROM (SELECT email FROM customer WHERE id = 1 UNION ALL SELECT NULL) AS t;
SELECT count(*) FROM customer AS a JOIN customer AS b ON a.email IS NOT DISTINCT FROM b.email;
SELECT redoubt.email_token_cmp(a.email, b.email) = 0 AS cmp_equal, redoubt.email_token_hash(a.email) = redoubt.email_token_hash(b.email) AS hash,
       redoubt.email_token_hash_extended(a.email, 7) = redoubt.email_token_hash_extended(b.email, 7) AS extended,
       redoubt.email_token_hash_extended(a.email, 7) <> redoubt.email_token_hash_extended(b.email, 8) AS seed_counts
FROM (SELECT 'x@example.com'::redoubt.email_token AS email) AS a, (SELECT 'x@EXAMPLE.COM'::redoubt.email_token AS email) AS b;
-- With seed 0 the low half of the extended hash is the hash: PostgreSQL demands it.
SELECT bool_and(redoubt.email_token_hash_extended(email, 0) & 4294967295 = redoubt.email_token_hash(email)::bigint & 4294967295) AS low_half,
       count(DISTINCT redoubt.email_token_hash(email)) > 990 AS spread FROM customer;

-- ------------------------------------------------------------------ indexes
CREATE UNIQUE INDEX customer_btree ON customer (email);
ANALYZE customer;
-- (Costs of the alternatives depend a little on the random order of tokens.)
SET enable_bitmapscan = off; SET enable_sort = off;
SELECT plan($$SELECT id FROM customer WHERE email = 'user7@example.com'$$);
SELECT id FROM customer WHERE email = 'user7@EXAMPLE.com';
SELECT plan($$SELECT id FROM customer WHERE email = 'user7@example.com'::text$$);
SELECT id FROM customer WHERE email = 'user7@example.com'::text;
SELECT plan($$SELECT id FROM customer WHERE email IN ('user7@example.com', 'user8@example.com')$$);
SELECT id FROM customer WHERE email IN ('user7@example.com', 'user8@example.com') ORDER BY id;
SELECT plan($$SELECT email FROM customer ORDER BY email LIMIT 3$$);
SELECT plan($$SELECT id FROM customer WHERE email > 'user7@example.com' ORDER BY email LIMIT 1$$);
SELECT count(*) = (SELECT count(*) FROM customer WHERE NOT email <= 'user7@example.com') AS range
FROM customer WHERE email > 'user7@example.com';
RESET enable_bitmapscan; RESET enable_sort;
-- A parameter: index scan in the generic plan as well.
SET plan_cache_mode = force_generic_plan;
PREPARE by_text(text) AS SELECT id FROM customer WHERE email = $1;
SELECT plan($$EXECUTE by_text('user7@example.com')$$);
EXECUTE by_text('user7@example.com');
RESET plan_cache_mode;
DROP INDEX customer_btree;
CREATE INDEX customer_hash ON customer USING hash (email);
SELECT plan($$SELECT id FROM customer WHERE email = 'user7@example.com'$$);
SELECT id FROM customer WHERE email = 'user7@EXAMPLE.com';
SELECT count(*) AS found FROM generate_series(1, 1000) AS n, LATERAL (SELECT FROM customer WHERE email = ('user' || n || '@example.com')::text AND id = n) AS t;
DROP INDEX customer_hash;
-- An index over several columns, one with INCLUDE, one of descending order.
CREATE INDEX customer_several ON customer (id, email DESC NULLS FIRST) INCLUDE (email);
SELECT id FROM customer WHERE id = 9 AND email = 'user9@example.com';
DROP INDEX customer_several;
-- A leakproof operator goes below a security barrier, so row level security costs no index.
CREATE UNIQUE INDEX customer_btree ON customer (email);
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM customer WHERE id % 2 = 1;
SELECT plan($$SELECT id FROM barrier WHERE email = 'user7@example.com'$$);
DROP VIEW barrier;

-- ------------------------------------------------------------------- joins
CREATE TABLE ticket (id int, email redoubt.email_token);
INSERT INTO ticket SELECT n, 'user' || n % 1500 || '@example.com' FROM generate_series(1, 3000) AS n;
ANALYZE ticket;
SET enable_nestloop = off;
SET enable_mergejoin = off;
SELECT plan('SELECT count(*) FROM customer JOIN ticket USING (email)');
SELECT count(*) FROM customer JOIN ticket USING (email);
SELECT count(*) FROM ticket LEFT JOIN customer USING (email) WHERE customer.id IS NULL;
RESET enable_mergejoin;
SET enable_hashjoin = off;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
SELECT plan('SELECT count(*) FROM customer JOIN ticket USING (email)');
SELECT count(*) FROM customer JOIN ticket USING (email);
SELECT count(*) FROM customer FULL JOIN ticket USING (email);
RESET ALL;
SET search_path = regress_operators;
-- Every join agrees with the join of plaintexts.
SELECT count(*) FROM customer AS c JOIN ticket AS t ON 'user' || c.id || '@example.com' = 'user' || t.id % 1500 || '@example.com';

-- DISTINCT and GROUP BY, hashed and sorted.
SELECT count(*) FROM (SELECT DISTINCT email FROM ticket) AS t;
SELECT plan('SELECT email, count(*) FROM ticket GROUP BY email');
SELECT n, count(*) FROM (SELECT count(*) AS n FROM ticket GROUP BY email) AS t GROUP BY n;
SET enable_hashagg = off;
SELECT plan('SELECT email, count(*) FROM ticket GROUP BY email');
SELECT n, count(*) FROM (SELECT count(*) AS n FROM ticket GROUP BY email) AS t GROUP BY n;
RESET enable_hashagg;
SELECT count(DISTINCT email) FROM ticket;
SELECT count(*) FROM (SELECT email FROM ticket EXCEPT SELECT email FROM customer) AS t;
SELECT count(*) FROM (SELECT email FROM ticket INTERSECT SELECT email FROM customer) AS t;
-- A hash join that spills, and a parallel one.
SET work_mem = '64kB';
SELECT count(*) FROM ticket AS a JOIN ticket AS b USING (email);
RESET work_mem;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
SELECT count(*) FROM customer JOIN ticket USING (email) WHERE customer.email <> 'user5@example.com';
SELECT count(DISTINCT redoubt.detokenize(email)) FROM ticket;
RESET ALL;
SET search_path = regress_operators;

-- -------------------------------------------------------------- statistics
-- ANALYZE gives what eqsel needs; the estimates are right; pg_stats shows tokens.
CREATE TABLE skewed AS SELECT (CASE WHEN n <= 500 THEN 'often' ELSE 'rare' || n END || '@example.com')::redoubt.email_token AS email
FROM generate_series(1, 1000) AS n;
INSERT INTO skewed VALUES (NULL);
ANALYZE skewed;
SELECT n_distinct < -0.4 AS n_distinct, array_length(most_common_vals::text::text[], 1) AS common, round(most_common_freqs[1]::numeric, 2) AS frequency,
       array_length(histogram_bounds::text::text[], 1) > 50 AS histogram, correlation IS NOT NULL AS correlation,
       most_common_vals::text LIKE '{tok\_%' AS common_is_token, histogram_bounds::text LIKE '{tok\_%' AS bounds_are_tokens
FROM pg_stats WHERE schemaname = 'regress_operators' AND tablename = 'skewed';
CREATE FUNCTION estimate(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
  RETURN plan -> 0 -> 'Plan' -> 'Plan Rows';
END
$$;
SELECT estimate($$SELECT FROM skewed WHERE email = 'often@example.com'$$) BETWEEN 450 AND 550 AS often,
       estimate($$SELECT FROM skewed WHERE email = 'rare700@example.com'$$) BETWEEN 1 AND 5 AS rare,
       estimate($$SELECT FROM skewed WHERE email <> 'often@example.com'$$) BETWEEN 450 AND 550 AS others,
       estimate($$SELECT FROM customer WHERE email = 'user1@example.com'$$) AS "unique";

-- ------------------------------------------------------------- constraints
-- What an error about a constraint says: the token, never the plaintext, whatever redoubt.reveal is.
CREATE FUNCTION shows(statement text, plaintext text) RETURNS TABLE (state text, token boolean, plain boolean) LANGUAGE plpgsql AS $$
DECLARE m text; d text; h text;
BEGIN
  EXECUTE statement;
  RAISE EXCEPTION 'no error came';
EXCEPTION WHEN integrity_constraint_violation THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
  RETURN QUERY SELECT SQLSTATE, d LIKE '%(tok\_%', position(plaintext IN m || d || h) > 0;
END
$$;
ALTER TABLE customer ADD PRIMARY KEY USING INDEX customer_btree;
ALTER TABLE ticket ADD CONSTRAINT ticket_email CHECK (email <> 'root@example.com');
DELETE FROM ticket WHERE NOT EXISTS (SELECT FROM customer WHERE customer.email = ticket.email);
ALTER TABLE ticket ADD FOREIGN KEY (email) REFERENCES customer DEFERRABLE;
ALTER TABLE customer ADD CONSTRAINT customer_exclude EXCLUDE USING btree (email WITH =);
CREATE TABLE customer_other (email redoubt.email_token);
INSERT INTO customer_other VALUES ('user1@example.com'), ('user1@example.com');
SET redoubt.reveal = 'plain';
SELECT * FROM shows($$INSERT INTO customer VALUES (0, 'user1@example.com')$$, 'user1@');
SELECT * FROM shows($$INSERT INTO ticket VALUES (0, 'nobody@example.com')$$, 'nobody@');
SELECT * FROM shows($$DELETE FROM customer WHERE email = 'user1@example.com'$$, 'user1@');
SELECT * FROM shows($$INSERT INTO ticket VALUES (0, 'root@example.com')$$, 'root@');
SELECT * FROM shows($$SET CONSTRAINTS ALL DEFERRED; INSERT INTO ticket VALUES (0, 'nobody@example.com'); SET CONSTRAINTS ALL IMMEDIATE$$, 'nobody@');
SELECT * FROM shows($$CREATE UNIQUE INDEX ON customer_other (email)$$, 'user1@');
SELECT * FROM shows($$ALTER TABLE customer_other ADD FOREIGN KEY (email) REFERENCES customer (email); INSERT INTO customer_other VALUES ('nobody@example.com')$$, 'nobody@');
RESET redoubt.reveal;
-- Upserts and keys.
INSERT INTO customer VALUES (1001, 'user1@EXAMPLE.com') ON CONFLICT (email) DO UPDATE SET id = 1001 RETURNING id;
INSERT INTO customer VALUES (1, 'user1@example.com') ON CONFLICT DO NOTHING;
UPDATE customer SET id = 1 WHERE email = 'user1@example.com';
MERGE INTO customer AS c USING (VALUES ('user1@example.com'::text), ('user9999@example.com')) AS n(email) ON c.email = n.email
WHEN MATCHED THEN UPDATE SET id = -1 WHEN NOT MATCHED THEN INSERT VALUES (9999, n.email);
SELECT id FROM customer WHERE email IN ('user1@example.com', 'user9999@example.com') ORDER BY id;
DROP TABLE customer, ticket, customer_other, skewed;

-- ----------------------------------------------------------------- partitions
CREATE TABLE parted (email redoubt.email_token PRIMARY KEY, id int) PARTITION BY HASH (email);
CREATE TABLE parted0 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE parted2 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO parted SELECT ('user' || n || '@example.com')::text, n FROM generate_series(1, 900) AS n;
SELECT count(*) AS rows, count(DISTINCT tableoid) AS partitions, min(n) > 200 AS balanced
FROM parted, (SELECT min(c) AS n FROM (SELECT count(*) AS c FROM parted GROUP BY tableoid) AS t) AS s;
-- Pruned to one partition by a literal, at planning.
SELECT count(*) FILTER (WHERE line LIKE '%Index Scan%' OR line LIKE '%Bitmap Heap Scan%' OR line LIKE '%Seq Scan%') AS partitions_scanned
FROM plan($$SELECT id FROM parted WHERE email = 'user7@example.com'$$) AS line;
SELECT id FROM parted WHERE email = 'user7@example.com';
SELECT * FROM shows($$INSERT INTO parted VALUES ('user7@example.com')$$, 'user7@');
DROP TABLE parted;
-- By list, too.
CREATE TABLE listed (email redoubt.email_token) PARTITION BY LIST (email);
CREATE TABLE listed_one PARTITION OF listed FOR VALUES IN ('vip@example.com');
CREATE TABLE listed_rest PARTITION OF listed DEFAULT;
INSERT INTO listed VALUES ('vip@EXAMPLE.com'), ('other@example.com');
SELECT tableoid::regclass::text COLLATE "C" AS partition, count(*) FROM listed GROUP BY 1 ORDER BY 1;
DROP TABLE listed;

-- bytea: same operators.
CREATE TABLE scan (b redoubt.bytes_token UNIQUE);
INSERT INTO scan SELECT int4send(n)::redoubt.bytes_token FROM generate_series(1, 100) AS n;
SET enable_seqscan = off;
SELECT plan($$SELECT FROM scan WHERE b = '\x00000007'$$);
SELECT redoubt.detokenize(b) FROM scan WHERE b = '\x00000007'::bytea;
SELECT * FROM shows($$INSERT INTO scan VALUES ('\x00000007')$$, '00000007');
RESET enable_seqscan;
DROP TABLE scan;

-- -------------------------------------------------- two versions of the key
CREATE TABLE old_version (id int, code code_token);
CREATE TABLE new_version (id int, code code_token);
INSERT INTO old_version SELECT n, 'code ' || n FROM generate_series(1, 300) AS n;
CREATE UNIQUE INDEX old_version_btree ON old_version (code);
CREATE INDEX old_version_hash ON old_version USING hash (code);
PREPARE folded AS SELECT id FROM old_version WHERE code = 'code 5';
EXECUTE folded;
RESET ROLE;
SELECT redoubt.rotate_key('regress_operators');
SET ROLE regress_operators_app;
INSERT INTO new_version SELECT n, 'code ' || n FROM generate_series(1, 300) AS n;
ANALYZE old_version, new_version;
SELECT 'old' AS "table", (redoubt.token_info(code)).key_version, count(*) FROM old_version GROUP BY 1, 2
UNION ALL SELECT 'new', (redoubt.token_info(code)).key_version, count(*) FROM new_version GROUP BY 1, 2;
-- Other bytes, equal tokens, one plaintext.
SELECT count(*) AS rows, bool_and(o.code = n.code) AS equal, bool_or(o.code <> n.code OR o.code < n.code OR o.code > n.code) AS unequal,
       bool_or(redoubt.token(o.code) = redoubt.token(n.code)) AS same_bytes, bool_and(redoubt.detokenize(o.code) = redoubt.detokenize(n.code)) AS same_plaintext,
       bool_and(code_token_hash(o.code) = code_token_hash(n.code)) AS hash, bool_and(code_token_hash_extended(o.code, 3) = code_token_hash_extended(n.code, 3)) AS extended
FROM old_version AS o JOIN new_version AS n USING (id);
-- Joined by hash, by merge, by an index; grouped; made distinct.
SET enable_nestloop = off; SET enable_mergejoin = off;
SELECT count(*) FROM old_version JOIN new_version USING (code);
SET enable_hashjoin = off; SET enable_mergejoin = on;
SELECT count(*) FROM old_version JOIN new_version USING (code);
SET enable_mergejoin = off; SET enable_nestloop = on; SET enable_seqscan = off;
SELECT count(*) FROM old_version JOIN new_version USING (code);
RESET ALL;
SET search_path = regress_operators;
SELECT count(*) AS groups, min(n), max(n) FROM (SELECT count(*) AS n FROM (TABLE old_version UNION ALL TABLE new_version) AS u GROUP BY code) AS t;
SELECT count(*) FROM (SELECT code FROM old_version UNION SELECT code FROM new_version) AS t;
SELECT count(*) FROM (SELECT code FROM old_version EXCEPT SELECT code FROM new_version) AS t;
SELECT bool_and(n = 2) AS adjacent FROM (SELECT count(*) OVER (PARTITION BY code) AS n FROM (TABLE old_version UNION ALL TABLE new_version) AS u) AS t;
-- Literals and plans made before or after the rotation find rows of both.
EXECUTE folded;
SET enable_seqscan = off;
SELECT plan($$SELECT id FROM old_version WHERE code = 'code 5' AND code <> 'code 6'$$);
SELECT id FROM old_version WHERE code = 'code 5';
RESET enable_seqscan;
SELECT id FROM new_version WHERE code = 'code 5';
-- Unique over versions: an insert now collides with a token of before.
SELECT * FROM shows($$INSERT INTO old_version VALUES (0, 'code 5')$$, 'code 5');
SELECT * FROM shows($$INSERT INTO old_version SELECT 0, code FROM new_version WHERE id = 7$$, 'code 7');
CREATE TABLE referring (code code_token REFERENCES old_version (code));
INSERT INTO referring SELECT code FROM new_version;
SELECT count(*) FROM referring;
-- A btree over many equal tokens of two versions keeps each one's bytes.
CREATE TABLE mixed AS SELECT o.code FROM old_version AS o, generate_series(1, 200) WHERE o.id = 1;
INSERT INTO mixed SELECT n.code FROM new_version AS n, generate_series(1, 200) WHERE n.id = 1;
CREATE INDEX mixed_btree ON mixed (code);
VACUUM (ANALYZE) mixed;
SET enable_seqscan = off;
SELECT plan($$SELECT code FROM mixed WHERE code = 'code 1'$$);
SELECT version, count(*) FROM (SELECT (redoubt.token_info(code)).key_version AS version FROM mixed WHERE code = 'code 1' OFFSET 0) AS t GROUP BY 1 ORDER BY 1;
RESET enable_seqscan;
-- Sealed again under the new version: the row keeps its place.
UPDATE old_version SET code = redoubt.detokenize(code)::code_token WHERE id = 5;
SELECT id, (redoubt.token_info(code)).key_version FROM old_version WHERE code = 'code 5';

-- ----------------------------------------------------------------- ends
RESET ROLE;
RESET search_path;
DEALLOCATE ALL;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP TABLE regress_operators.old_version, regress_operators.new_version, regress_operators.referring, regress_operators.mixed;
SELECT redoubt.drop_token_type('regress_operators.code_token');
DELETE FROM redoubt.key WHERE name = 'regress_operators';
DROP SCHEMA regress_operators CASCADE;
DROP OWNED BY regress_operators_app;
DROP ROLE regress_operators_app;
