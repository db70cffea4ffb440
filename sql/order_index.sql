/*
 * Indexes over token columns in the order of values: ranges, ORDER BY, pages by key.
 *
 * Proves: such an index finds and sorts what is found and sorted without it, for the same charges; making it and writing
 * rows needs no privilege; nothing compares values by its operator class but the index, and its order reaches nobody who
 * has not paid for it, neither through the planner, nor the place of rows, nor types and partitions made of the class.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET jit = off;
CREATE ROLE regress_order_owner;
CREATE ROLE regress_order_lead;
CREATE ROLE regress_order_search;
CREATE ROLE regress_order_writer;
CREATE SCHEMA oi AUTHORIZATION regress_order_owner;
GRANT USAGE ON SCHEMA oi TO PUBLIC;
SELECT redoubt.create_token_type('oi.mark', "normalize" => 'none') AS made, redoubt.create_token_type('oi.number', method => 'vault') AS vault;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), oi.mark(text), oi.number(text) TO regress_order_owner;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.detokenize(oi.mark) TO regress_order_lead;
GRANT EXECUTE ON FUNCTION redoubt.search(redoubt.email_token), redoubt.search(oi.mark) TO regress_order_lead, regress_order_search;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), oi.mark(text) TO regress_order_lead, regress_order_search;
SET ROLE regress_order_owner;

-- An index of the text is one in the order of values; one that a varchar column had is made anew so.
CREATE TABLE oi.users (id int PRIMARY KEY, email varchar(80), note text);
INSERT INTO oi.users SELECT i, 'User' || i || '@Example.com', 'note ' || i FROM generate_series(1, 300) i;
INSERT INTO oi.users VALUES (301, NULL), (302, ''), (303, 'USER7@Example.com'), (304, 'user7@example.com'), (305, 'no address'), (306, NULL);
CREATE INDEX users_text ON oi.users ((email::text));
ALTER TABLE oi.users ALTER email TYPE redoubt.email_token USING redoubt.email_token(email);
CREATE TABLE oi.bare AS SELECT * FROM oi.users;
CREATE INDEX ON oi.users ((email::text) DESC NULLS LAST);
CREATE INDEX ON oi.users (CAST(email AS varchar)) INCLUDE (note);
CREATE INDEX ON oi.users (email redoubt.email_token_value_ops);
SELECT indexdef FROM pg_indexes WHERE schemaname = 'oi' AND tablename = 'users' ORDER BY indexname COLLATE "C";
DROP INDEX oi.users_email_idx, oi.users_email_idx1;
CREATE TABLE oi.parts (id int, mark oi.mark) PARTITION BY LIST (id);
CREATE TABLE oi.part1 PARTITION OF oi.parts FOR VALUES IN (1);
CREATE TABLE oi.part2 PARTITION OF oi.parts DEFAULT;
CREATE INDEX ON oi.parts ((mark::text));
INSERT INTO oi.parts SELECT i % 3, chr(65 + i) || 'x' FROM generate_series(0, 25) i;
-- Not one of several keys, of some rows, or of unique ones; nor of what has no value inside the server.
CREATE INDEX ON oi.users ((email::text), id);
CREATE INDEX ON oi.users (id, (email::text));
CREATE INDEX ON oi.users ((email::text)) WHERE id > 5;
CREATE UNIQUE INDEX ON oi.users ((email::text));
CREATE TABLE oi.others (v oi.number, d date);
CREATE INDEX ON oi.others ((v::text));
CREATE INDEX ON oi.users ((email::date));
CREATE INDEX ON oi.others ((d::text));

-- Nobody else compares by the class: its functions and operators cannot be called or named, types and partitions refuse.
SELECT redoubt.email_token_value_cmp(a.email, b.email) FROM oi.users a, oi.users b WHERE a.id = 1 AND b.id = 2;
SELECT redoubt.email_token_value_sort(NULL);
SELECT redoubt.value_cmp(email, NULL), redoubt.value_lt(email, NULL) FROM oi.users;
SELECT redoubt.sought_value('x'::text, NULL);
SELECT redoubt.by_value(email, NULL) FROM oi.users;
SELECT count(*) FROM oi.users WHERE email OPERATOR(redoubt.#<#) NULL;
SELECT count(*) FROM oi.users WHERE email OPERATOR(redoubt.#<#) 'x';
SELECT id FROM oi.users ORDER BY email USING OPERATOR(redoubt.#<#) LIMIT 1;
SELECT ROW(email, 1) OPERATOR(redoubt.#<#) ROW(email, 2) FROM oi.users;
CREATE AGGREGATE oi.least(redoubt.email_token) (SFUNC = redoubt.email_token_value_cmp, STYPE = int);
CREATE TYPE oi.range AS RANGE (subtype = redoubt.email_token, subtype_opclass = redoubt.email_token_value_ops);
SELECT oi.range('a@b.cc'::redoubt.email_token, 'b@b.cc'::redoubt.email_token);
CREATE TABLE oi.ranges (e redoubt.email_token) PARTITION BY RANGE (e redoubt.email_token_value_ops);
CREATE TABLE oi.range1 PARTITION OF oi.ranges FOR VALUES FROM ('a@b.cc') TO ('b@b.cc');
CREATE TABLE oi.lists (e redoubt.email_token) PARTITION BY LIST (e redoubt.email_token_value_ops);
CREATE TABLE oi.list1 PARTITION OF oi.lists FOR VALUES IN ('a@b.cc', 'b@b.cc');
DROP TABLE oi.ranges, oi.lists;
DROP TYPE oi.range;
-- The place of rows would tell.
CLUSTER oi.users USING users_text;
ALTER TABLE oi.users CLUSTER ON users_text;
CLUSTER oi.users USING users_pkey;

-- Who writes rows needs no more privilege than without the index.
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA oi TO PUBLIC;
SELECT redoubt.token(email) AS token FROM oi.users WHERE id = 9 \gset
SET ROLE regress_order_writer;
INSERT INTO oi.users VALUES (310, :'token'), (311, ''), (312, NULL);
INSERT INTO oi.bare VALUES (310, :'token'), (311, ''), (312, NULL);
UPDATE oi.users SET note = 'seen' WHERE id = 8;
-- Its order is not there for who may not search, whatever the planner is made to do.
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
EXPLAIN (COSTS off) SELECT id FROM oi.users WHERE email IS NOT NULL \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
EXPLAIN (COSTS off) SELECT email FROM oi.users \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
EXPLAIN (COSTS off) SELECT id FROM oi.users ORDER BY email \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
SET redoubt.reveal = 'auto';
SELECT id FROM oi.users ORDER BY email LIMIT 1;
SELECT id FROM oi.users WHERE email < 'x' LIMIT 1;
SELECT id FROM oi.users WHERE email::text < 'x' LIMIT 1;
SELECT id FROM oi.users WHERE email::text < '!' LIMIT 1;
SELECT min(email::text) FROM oi.users;
RESET redoubt.reveal;
RESET enable_sort;
RESET enable_bitmapscan;
RESET enable_seqscan;
RESET ROLE;

-- A key version later equal values are equal, and lie together.
SELECT redoubt.rotate_key('default') > 0 AS rotated;
SET ROLE regress_order_owner;
INSERT INTO oi.users VALUES (320, 'User9@Example.com'), (321, 'User1@Example.com');
INSERT INTO oi.bare VALUES (320, 'User9@Example.com'), (321, 'User1@Example.com');
REINDEX INDEX oi.users_text;
-- Pages that become empty are taken out, which compares.
INSERT INTO oi.users SELECT i, 'gone' || i || '@example.com' FROM generate_series(1000, 4000) i;
DELETE FROM oi.users WHERE id >= 1000;
VACUUM oi.users;
DELETE FROM oi.users WHERE id = 200;
DELETE FROM oi.bare WHERE id = 200;
ANALYZE oi.users;
ANALYZE oi.bare;
RESET ROLE;

-- The same answers and the same charges as without.
SELECT redoubt.set_limit(role, NULL, operation, 100000, '1 hour') IS NULL AS failed
FROM (VALUES ('regress_order_lead'::regrole), ('regress_order_search')) AS r(role), (VALUES ('reveal'), ('probe'), ('read')) AS o(operation);
CREATE FUNCTION oi.spent() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = redoubt, pg_catalog, pg_temp AS $$
DECLARE
  result text;
  who regrole := session_user::regrole;
BEGIN
  SELECT string_agg(format('%s %s', charged, operation), ', ' ORDER BY operation) INTO result FROM redoubt.usage WHERE role = who AND charged > 0;
  PERFORM redoubt.reset_usage(who);
  RETURN coalesce(result, 'nothing');
END $$;
CREATE FUNCTION oi.compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  line text;
  used text;
  answer text[] := ARRAY['', ''];
BEGIN
  PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
  FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || replace(query, '$', 'oi.users') LOOP
    used := concat_ws(' ', used, substring(line FROM '(Index Scan(?: Backward)?) using users_text'), substring(line FROM 'Bitmap (?=Index Scan on users_text)'),
                      substring(line FROM '(?<=Index )Cond(?=.*#)'));
  END LOOP;
  FOR i IN 1..2 LOOP
    FOR line IN EXECUTE replace(query, '$', CASE i WHEN 1 THEN 'oi.users' ELSE 'oi.bare' END) LOOP
      answer[i] := answer[i] || ' ' || coalesce(line, 'null');
    END LOOP;
  END LOOP;
  RETURN format('%s%s, by %s', CASE WHEN answer[1] <> answer[2] THEN 'not' || answer[2] || ', but' END, left(answer[1], 60), coalesce(nullif(trim(used), ''), 'none'));
END $$;
CREATE TABLE oi.query (n serial, q text);
INSERT INTO oi.query(q) VALUES
  ($q$SELECT id FROM $ ORDER BY email, id LIMIT 5$q$),
  ($q$SELECT id FROM $ ORDER BY email DESC NULLS LAST, id LIMIT 5$q$),
  ($q$SELECT id FROM $ ORDER BY email::text COLLATE "C", id LIMIT 5$q$),
  ($q$SELECT id FROM $ WHERE email > 'User25' ORDER BY email, id LIMIT 5$q$),
  ($q$SELECT id FROM $ WHERE email >= 'user3@example.com' AND email < 'user30@example.com' ORDER BY email, id$q$),
  ($q$SELECT id FROM $ WHERE email BETWEEN 'User30' AND 'User4' ORDER BY email DESC, id LIMIT 4$q$),
  ($q$SELECT id FROM $ WHERE email::text < 'User1' ORDER BY email::text, id$q$),
  ($q$SELECT id FROM $ WHERE 'User12' > email::text AND id > 10 ORDER BY email, id LIMIT 3$q$),
  ($q$SELECT id FROM $ WHERE email::text < ALL (ARRAY['User12', 'User11']) ORDER BY id LIMIT 3 -- reveals$q$),
  ($q$SELECT id FROM $ WHERE (email, id) > ('User9@Example.com', 9) ORDER BY email, id LIMIT 5$q$),
  ($q$SELECT id FROM $ WHERE (email, id) <= ('User9@Example.com', 9) ORDER BY email DESC, id DESC LIMIT 5$q$),
  ($q$SELECT id FROM $ WHERE email > 'User25' AND email < 'User24' ORDER BY email$q$),
  ($q$SELECT id FROM $ WHERE email > 'User298' OR email < 'U' ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE NOT email > 'User1@' ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE email > NULL ORDER BY email$q$),
  ($q$SELECT id FROM $ WHERE email IS NULL ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE email <= '' ORDER BY email, id$q$),
  ($q$SELECT id FROM $ WHERE email = 'user9@example.com' ORDER BY id$q$),
  ($q$SELECT id FROM (SELECT id, email FROM $ ORDER BY email, id LIMIT 7) AS s ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE email > (SELECT 'User29' || 1) ORDER BY email, id LIMIT 3 -- reveals$q$),
  ($q$SELECT email FROM $ WHERE email > 'User29' ORDER BY email, id LIMIT 2 -- reveals$q$),
  ($q$SELECT count(*) FROM $ WHERE email >= 'User29' -- reveals$q$),
  ($q$SELECT min(email::text) FROM $ WHERE email > 'User1' -- reveals$q$),
  ($q$SELECT a.id FROM $ a JOIN oi.parts p ON p.id = a.id ORDER BY a.email, a.id LIMIT 3$q$),
  ($q$SELECT a.id FROM $ a JOIN $ b ON a.email > b.email AND b.id = 299 ORDER BY a.email, a.id LIMIT 3 -- reveals$q$),
  ($q$SELECT id FROM $ a WHERE EXISTS (SELECT FROM $ b WHERE b.email > 'User298' AND b.id = a.id) ORDER BY id -- reveals$q$),
  ($q$SELECT string_agg(id::text, ' ') FROM (SELECT id FROM $ WHERE id < 12 ORDER BY email, id) AS s -- reveals$q$),
  ($q$SELECT id FROM (SELECT id, row_number() OVER (ORDER BY email, id) AS n FROM $) AS w WHERE n BETWEEN 11 AND 13 -- reveals$q$);
CREATE TABLE oi.spent (who regrole, n int, "table" text, spent text);
GRANT SELECT ON oi.query TO PUBLIC;
GRANT SELECT, INSERT ON oi.spent TO PUBLIC;
SET SESSION AUTHORIZATION regress_order_lead;
SET redoubt.reveal = 'auto';
SELECT n, oi.compare(q) FROM oi.query ORDER BY n;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT oi.spent() <> '' AS reset;
\o /dev/null
\set ECHO none
SELECT replace(q, '$', t), format('INSERT INTO oi.spent SELECT session_user::regrole, %s, %L, oi.spent()', n, t)
FROM oi.query, (VALUES ('oi.users'), ('oi.bare')) AS v(t) ORDER BY n, t \gexec
\set ECHO all
\o
-- Partitions are merged in order.
EXPLAIN (COSTS off) SELECT mark FROM oi.parts ORDER BY mark DESC LIMIT 3 \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
SELECT mark FROM oi.parts ORDER BY mark DESC LIMIT 3;
SELECT mark FROM oi.parts WHERE mark > 'T' ORDER BY mark LIMIT 3;
-- Parameters, forwards and backwards.
SET plan_cache_mode = force_generic_plan;
PREPARE page(text) AS SELECT id FROM oi.users WHERE email > $1 ORDER BY email, id LIMIT 3;
EXECUTE page('User299');
EXECUTE page('user7');
EXECUTE page('');
EXECUTE page(NULL);
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM oi.users WHERE email > 'User98' ORDER BY email;
FETCH 2 FROM c;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
COMMIT;
RESET enable_seqscan;
RESET enable_sort;
-- In token mode it serves nothing, and nothing is in its order.
SET redoubt.reveal = 'token';
EXPLAIN (COSTS off) SELECT id FROM oi.users ORDER BY email LIMIT 3 \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
-- A role that searches without seeing is sorted for, and pays for each comparison.
SET SESSION AUTHORIZATION regress_order_search;
SET redoubt.reveal = 'auto';
SELECT n, oi.compare(q) FROM oi.query WHERE q !~ 'reveals' ORDER BY n;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT oi.spent() <> '' AS reset;
\o /dev/null
\set ECHO none
SELECT replace(q, '$', t), format('INSERT INTO oi.spent SELECT session_user::regrole, %s, %L, oi.spent()', n, t)
FROM oi.query, (VALUES ('oi.users'), ('oi.bare')) AS v(t) WHERE q !~ 'reveals' ORDER BY n, t \gexec
\set ECHO all
\o
SELECT min(email::text) FROM oi.users;
SELECT count(*) FROM oi.users WHERE email > 'User1';
SELECT a.id FROM oi.users a JOIN oi.users b ON a.email > b.email LIMIT 1;
-- A range that comes in the order of values is sorted, asked for or not.
SELECT oi.spent() <> '' AS reset;
SET enable_bitmapscan = off;
SELECT id FROM oi.users WHERE email > 'User98';
SELECT oi.spent();
SELECT id FROM oi.bare WHERE email > 'User98';
SELECT oi.spent();
RESET enable_bitmapscan;
RESET enable_seqscan;
RESET enable_sort;
SELECT a.who, a.n, a.spent, CASE WHEN a.spent <> b.spent THEN b.spent END AS "without index"
FROM oi.spent AS a JOIN oi.spent AS b USING (who, n) WHERE a."table" = 'oi.users' AND b."table" = 'oi.bare' ORDER BY who::text, n;

-- A policy's rows are told apart before an index is asked.
RESET SESSION AUTHORIZATION;
CREATE POLICY own ON oi.users FOR SELECT TO regress_order_lead USING (id % 2 = 0);
ALTER TABLE oi.users ENABLE ROW LEVEL SECURITY;
SET SESSION AUTHORIZATION regress_order_lead;
SET redoubt.reveal = 'auto';
SET enable_seqscan = off;
SET enable_sort = off;
SELECT id FROM oi.users WHERE email > 'User96' ORDER BY email;
RESET enable_seqscan;
RESET enable_sort;
RESET SESSION AUTHORIZATION;

-- Nothing is left of a type.
DROP TABLE oi.parts;
SELECT redoubt.drop_token_type('oi.mark') IS NULL AS failed;
SELECT count(*) FROM pg_opfamily WHERE opfname LIKE 'mark%';
SELECT count(*) FROM pg_proc WHERE proname LIKE 'mark\_%';
SET client_min_messages = warning;
DROP TABLE oi.others;
SELECT redoubt.drop_token_type('oi.number') IS NULL AS failed;
DROP SCHEMA oi CASCADE;
DROP OWNED BY regress_order_owner, regress_order_lead, regress_order_search, regress_order_writer;
DROP ROLE regress_order_owner, regress_order_lead, regress_order_search, regress_order_writer;
