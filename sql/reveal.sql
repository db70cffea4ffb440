--
-- Implicit reveal: with redoubt.reveal the output of a token is what the role
-- may see, in every form in which a query hands rows to its reader.
-- Where it never happens is no_reveal.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_reveal_app LOGIN;
CREATE SCHEMA reveal_test AUTHORIZATION regress_reveal_app;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.name_token(text), redoubt.bytes_token(bytea),
  redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token), redoubt.mask(redoubt.name_token),
  redoubt.detokenize(redoubt.bytes_token) TO regress_reveal_app;
\c - regress_reveal_app
SET search_path = reveal_test, redoubt;
CREATE TABLE customer (id int PRIMARY KEY, name name_token, email email_token, photo bytes_token);
INSERT INTO customer VALUES (1, 'Alice Archer', 'alice@example.com', '\x0102'::bytea), (2, 'Bob Baker', 'bob@example.org', NULL), (3, NULL, NULL, NULL);

-- ------------------------------------------------------------ the settings

SHOW redoubt.reveal;
SELECT id, format('%s', name) LIKE 'tok\_%' AS name, format('%s', email) LIKE 'tok\_%' AS email FROM customer ORDER BY id;
SET redoubt.reveal = 'masked';
SELECT id, name, email FROM customer ORDER BY id;
-- plain insists: what the role may not see is an error, never something less.
SET redoubt.reveal = 'plain';
SELECT id, email, photo FROM customer ORDER BY id;
SELECT id, name FROM customer ORDER BY id;
-- auto is the most the role may see, type by type.
SET redoubt.reveal = 'auto';
SELECT id, name, email, photo FROM customer ORDER BY id;
SELECT * FROM customer ORDER BY id;
SET redoubt.reveal = 'everything';
SET redoubt.reveal = 'token';
SELECT count(*) FROM (SELECT format('%s', email) AS e FROM customer) AS s WHERE e LIKE 'tok\_%';
SET redoubt.reveal = 'auto';

-- --------------------------------------------------------- forms of output

SELECT json_agg(email ORDER BY id) FROM customer;
SELECT jsonb_agg(email ORDER BY id) FROM customer;
SELECT json_build_object('name', name, 'email', email) FROM customer WHERE id = 1;
SELECT json_object_agg(id, email ORDER BY id) FROM customer;
SELECT row_to_json(c) FROM (SELECT id, name, email FROM customer) AS c ORDER BY id;
SELECT to_json(email), to_jsonb(c) -> 'email' FROM customer AS c WHERE id = 1;
SELECT array_agg(email ORDER BY id) FROM customer;
SELECT ARRAY[ARRAY[email, email]] FROM customer WHERE id = 1;
SELECT c FROM (SELECT id, name, email FROM customer) AS c ORDER BY id;
SELECT ROW(id, ARRAY[email]) FROM customer WHERE id = 1;
SELECT email::text, email::varchar(5), CAST(email AS character(20)) FROM customer WHERE id = 1;
SELECT format('%s <%s>', name, email), 'mailto:' || email, concat(email, '!'), concat_ws('/', name, email) FROM customer WHERE id = 1;
SELECT quote_literal(email::text), upper(email::text), length(email::text) FROM customer WHERE id = 1;
SELECT string_agg(email::text, ',' ORDER BY id) FROM customer;
SELECT CASE WHEN id = 1 THEN email END AS email, coalesce(email, email), nullif(email, NULL) FROM customer ORDER BY id LIMIT 1;
VALUES ('carol@example.net'::email_token);
TABLE customer ORDER BY id LIMIT 1;
WITH c AS MATERIALIZED (SELECT * FROM customer) SELECT email FROM c WHERE id = 1 UNION ALL SELECT email FROM customer WHERE id = 2;
SELECT DISTINCT a.id, a.email FROM customer AS a JOIN customer AS b USING (email) ORDER BY a.id;
SELECT email FROM customer WHERE email = 'alice@example.com';
SELECT email FROM customer WHERE id = 2 FOR UPDATE;
CREATE VIEW people AS SELECT id, email FROM customer;
SELECT * FROM people ORDER BY id LIMIT 1;

-- COPY of a query, as text, CSV and binary (here only: that it says what SELECT says).
COPY (SELECT id, email FROM customer ORDER BY id) TO STDOUT;
COPY (SELECT id, name, email FROM customer ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER);
SELECT convert_from(email_token_send(email), 'UTF8') AS send, email_token_out(email) AS out FROM customer WHERE id = 1;

-- ----------------------------------------- rows that wait in a tuple store

BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, email, email::text FROM customer WHERE id < 3 ORDER BY id;
FETCH 1 FROM c;
FETCH ALL FROM c;
FETCH BACKWARD 1 FROM c;
FETCH ABSOLUTE 1 FROM c;
FETCH FIRST FROM c;
MOVE LAST FROM c;
FETCH PRIOR FROM c;
CLOSE c;
DECLARE held CURSOR WITH HOLD FOR SELECT id, email, email::text FROM customer WHERE id < 3 ORDER BY id;
FETCH 1 FROM held;
COMMIT;
FETCH 1 FROM held;
FETCH BACKWARD ALL FROM held;
-- The setting counts when the row is delivered.
SET redoubt.reveal = 'masked';
FETCH FIRST FROM held;
CLOSE held;
SET redoubt.reveal = 'auto';

INSERT INTO customer VALUES (4, 'Dora Dunn', 'dora@example.net') RETURNING id, name, email;
UPDATE customer SET email = 'dora@example.com' WHERE id = 4 RETURNING email;
UPDATE customer SET id = 4 WHERE id = 4 RETURNING *;
INSERT INTO customer VALUES (4, 'Dora Dunn', 'dora@example.com') ON CONFLICT (id) DO UPDATE SET email = excluded.email RETURNING email;
WITH gone AS (DELETE FROM customer WHERE id = 4 RETURNING *) SELECT email FROM gone;
INSERT INTO customer VALUES (4, 'Dora Dunn', 'dora@example.net');
DELETE FROM customer WHERE id = 4 RETURNING ROW(email), ARRAY[name];

PREPARE by_email(email_token) AS SELECT id, email, email::text FROM customer WHERE email = $1;
EXECUTE by_email('alice@example.com');
PREPARE insert_one(int, email_token) AS INSERT INTO customer (id, email) VALUES ($1, $2) RETURNING email;
EXECUTE insert_one(5, 'eve@example.com');
PREPARE delete_one(int) AS DELETE FROM customer WHERE id = $1 RETURNING email;
EXECUTE delete_one(5);
DEALLOCATE ALL;

-- ------------------------------------------------------------- functions

CREATE FUNCTION sql_token(int) RETURNS email_token LANGUAGE sql AS 'SELECT email FROM customer WHERE id = $1';
CREATE FUNCTION sql_text(int) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT email::text FROM customer WHERE id = $1';
CREATE FUNCTION sql_rows() RETURNS SETOF customer LANGUAGE sql AS 'SELECT * FROM customer WHERE id = 1';
CREATE FUNCTION plpgsql_token(int) RETURNS email_token LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT email FROM customer WHERE id = $1); END';
CREATE FUNCTION plpgsql_text(int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  e email_token;
BEGIN
  SELECT email INTO e FROM customer WHERE id = $1;
  RETURN 'mailto:' || e;
END $$;
CREATE FUNCTION plpgsql_query() RETURNS TABLE (token email_token, value text) LANGUAGE plpgsql AS
  'BEGIN RETURN QUERY SELECT email, email::text FROM customer WHERE id < 3 ORDER BY id; END';
CREATE FUNCTION plpgsql_next() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT email FROM customer WHERE id < 3 ORDER BY id LOOP
    RETURN NEXT r.email::text;
  END LOOP;
END $$;
CREATE FUNCTION plpgsql_cursor() RETURNS refcursor LANGUAGE plpgsql AS $$
DECLARE
  c refcursor := 'from_function';
BEGIN
  OPEN c FOR SELECT email, email::text AS value FROM customer WHERE id = 1;
  RETURN c;
END $$;
CREATE PROCEDURE give(INOUT token email_token, OUT value text) LANGUAGE plpgsql AS $$
BEGIN
  SELECT email, email::text INTO token, value FROM customer WHERE id = 1;
END $$;
SELECT sql_token(1), sql_text(1), plpgsql_token(1), plpgsql_text(1);
SELECT * FROM sql_text(2);
SELECT id, email FROM sql_rows();
SELECT * FROM plpgsql_query();
SELECT plpgsql_query();
SELECT * FROM plpgsql_next();
BEGIN;
SELECT plpgsql_cursor();
FETCH ALL FROM from_function;
COMMIT;
CALL give(NULL, NULL);

-- ---------------------------------------------- nobody's grant, nobody's reveal

\c - postgres
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) FROM regress_reveal_app;
\c - regress_reveal_app
SET search_path = reveal_test, redoubt;
SET redoubt.reveal = 'auto';
SELECT id, email FROM customer ORDER BY id LIMIT 2;
COPY (SELECT id, email FROM customer ORDER BY id LIMIT 1) TO STDOUT;
UPDATE customer SET id = 1 WHERE id = 1 RETURNING email;
SELECT plpgsql_text(1);
SET redoubt.reveal = 'plain';
SELECT email FROM customer;
SELECT json_agg(email) FROM customer;
SELECT count(*) FROM customer WHERE email::text LIKE 'a%';
SELECT email::text FROM customer ORDER BY email::text;
COPY (SELECT email FROM customer) TO STDOUT;
UPDATE customer SET id = 1 WHERE id = 1 RETURNING email;
SELECT plpgsql_text(1);
BEGIN;
DECLARE c CURSOR FOR SELECT email FROM customer;
FETCH 1 FROM c;
ROLLBACK;

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA reveal_test CASCADE;
DROP OWNED BY regress_reveal_app;
DROP ROLE regress_reveal_app;
