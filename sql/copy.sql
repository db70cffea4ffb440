--
-- COPY: a protected table goes out as tokens, whatever redoubt.reveal says, and
-- is metered; COPY of a query says what the query says; COPY FROM tokenizes
-- where the role may, and takes tokens as they are.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_copy_app LOGIN;
CREATE ROLE regress_copy_reader LOGIN;
CREATE SCHEMA copy_test AUTHORIZATION regress_copy_app;
GRANT USAGE, CREATE ON SCHEMA copy_test TO regress_copy_reader;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token) TO regress_copy_app;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_copy_reader;
\c - regress_copy_app
SET search_path = copy_test, redoubt;
CREATE TABLE customer (id int, email email_token, note text, upper_note text GENERATED ALWAYS AS (upper(note)) STORED);

-- -------------------------------------------------------------- COPY FROM

COPY customer (id, email, note) FROM STDIN;
1	alice@example.com	first
2	BOB@Example.ORG	second, with	tab?
\.
COPY customer (id, email, note) FROM STDIN;
1	alice@example.com	first
2	bob@example.org	second
3	\N	third
\.
COPY customer (id, email, note) FROM STDIN WITH (FORMAT csv);
4,"dora@example.net",fourth
5,a•••@example.com,fifth
\.
COPY customer (id, email, note) FROM STDIN WITH (FORMAT csv);
4,"dora@example.net",fourth
\.
SELECT id, email = 'dora@example.net' AS dora, format('%s', email) LIKE 'tok\_%' AS token FROM customer ORDER BY id;
GRANT SELECT ON customer TO regress_copy_reader;

-- -------------------------------------------------- COPY table TO is a table of tokens

-- The pipes are psql's: they see what the client got.
SET redoubt.reveal = 'auto';
SELECT email FROM customer WHERE id = 1;
\copy customer TO PROGRAM 'sed "s/tok_[A-Za-z0-9_-]\{40,\}/<token>/"'
\copy customer (email, id) TO PROGRAM 'sed "s/tok_[A-Za-z0-9_-]\{40,\}/<token>/"'
\copy customer TO PROGRAM 'sed "s/tok_[A-Za-z0-9_-]\{40,\}/<token>/"' WITH (FORMAT csv, HEADER, FORCE_QUOTE (note))
\copy customer TO PROGRAM 'grep -c -a "tok_"' WITH (FORMAT binary)
\copy customer TO PROGRAM 'grep -c -a "example"; true' WITH (FORMAT binary)
SET redoubt.reveal = 'plain';
\copy customer TO PROGRAM 'grep -c "example"; true'
\copy customer (email) TO PROGRAM 'grep -c "tok_"'
-- The query form is a query.
COPY (SELECT id, email FROM customer ORDER BY id) TO STDOUT;
COPY (TABLE customer ORDER BY id) TO STDOUT (FORMAT csv);
\copy (SELECT email FROM customer) TO PROGRAM 'grep -c -a "example"' WITH (FORMAT binary)
COPY (UPDATE customer SET note = note WHERE id = 1 RETURNING email) TO STDOUT;
COPY (INSERT INTO customer (id) VALUES (9) RETURNING email) TO STDOUT WITH (NULL 'none');
DELETE FROM customer WHERE id = 9;

-- What goes out comes back in, also where nothing may be tokenized.
\copy customer (id, email) TO 'results/copy_test.data'
\c - regress_copy_reader
SET search_path = copy_test, redoubt;
CREATE TABLE copied (id int, email email_token);
\copy copied FROM 'results/copy_test.data'
SELECT count(*) FROM copied JOIN customer USING (id, email);
COPY copied FROM STDIN;
7	mallory@example.com
\.
\! rm -f results/copy_test.data

-- -------------------------------------------------------------- metering

SET redoubt.reveal = 'auto';
\c - postgres
SELECT redoubt.reset_usage('regress_copy_reader');
\c - regress_copy_reader
SET search_path = copy_test, redoubt;
CREATE TEMP VIEW spent AS SELECT token_type, operation, charged FROM redoubt.usage WHERE charged > 0 ORDER BY 1, 2;
\copy customer TO PROGRAM 'wc -l'
SELECT * FROM spent;  -- three of four e-mails are not null
\copy customer (id, note) TO PROGRAM 'wc -l'
SELECT * FROM spent;
SET redoubt.reveal = 'plain';
\copy customer (email) TO PROGRAM 'wc -l'
SELECT * FROM spent;
COPY (SELECT email FROM customer WHERE id = 1) TO STDOUT;
SELECT * FROM spent;
COPY copied FROM STDIN;
8	\N
\.
SELECT * FROM spent;

-- Privileges, row security and COPY's own rules are as before.
\c - regress_copy_app
SET search_path = copy_test, redoubt;
REVOKE SELECT ON customer FROM regress_copy_reader;
GRANT SELECT (id, email) ON customer TO regress_copy_reader;
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY first_only ON customer FOR SELECT TO regress_copy_reader USING (id = 1);
CREATE VIEW customer_view AS SELECT * FROM customer;
CREATE TABLE parted (id int, email email_token) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
INSERT INTO parted VALUES (1, 'alice@example.com'), (2, 'bob@example.org');
CREATE TABLE parent (id int, email email_token);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1, 'alice@example.com');
INSERT INTO child VALUES (2, 'bob@example.org');
SET redoubt.reveal = 'plain';
COPY customer_view TO STDOUT;
COPY parted TO STDOUT;
\copy parted_1 TO PROGRAM 'grep -c "tok_"'
\copy parent TO PROGRAM 'grep -c "tok_"'
COPY customer (nonsense) TO STDOUT;
COPY nonsense TO STDOUT;
CREATE TEMP TABLE temporary AS SELECT * FROM parted;
\copy temporary TO PROGRAM 'grep -c "tok_"'
\c - regress_copy_reader
SET search_path = copy_test, redoubt;
COPY customer TO STDOUT;
\copy customer (id, email) TO PROGRAM 'sed "s/tok_[A-Za-z0-9_-]\{40,\}/<token>/"'
SET row_security = off;
COPY customer (id, email) TO STDOUT;
\set VERBOSITY sqlstate
COPY customer (id, email) TO '/nowhere/file';
\set VERBOSITY terse

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA copy_test CASCADE;
DROP OWNED BY regress_copy_app, regress_copy_reader;
DROP ROLE regress_copy_app, regress_copy_reader;
