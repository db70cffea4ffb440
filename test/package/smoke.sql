-- What an administrator does first with the installed package; each step fails the run if it does not do what it says.
\set ON_ERROR_STOP on
CREATE EXTENSION redoubt;
CREATE TABLE customer (id integer PRIMARY KEY, email redoubt.email_token);
CREATE ROLE support;
GRANT SELECT ON customer TO support;
GRANT USAGE ON SCHEMA redoubt TO support;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO support;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO CURRENT_USER;
INSERT INTO customer SELECT n, 'person' || n || '@example.com' FROM generate_series(1, 100) AS n;
SELECT redoubt.set_limit('support', 'redoubt.email_token', 'reveal', 10, '1 hour') > 0 AS limited;

DO $$
BEGIN
    ASSERT (SELECT bool_and(format('%s', email) LIKE 'tok\_%') FROM customer), 'the column holds tokens';
    ASSERT (SELECT count(*) = 1 FROM customer WHERE email = 'person7@example.com'), 'a value is found by its token';
END $$;

SET SESSION AUTHORIZATION support;
DO $$
DECLARE
    revealed text[];
BEGIN
    revealed := ARRAY(SELECT redoubt.detokenize(email) FROM customer WHERE id <= 10 ORDER BY id);
    ASSERT revealed[7] = 'person7@example.com' AND cardinality(revealed) = 10, 'support sees what it is granted';
    BEGIN
        PERFORM redoubt.detokenize(email) FROM customer WHERE id = 11;
        RAISE EXCEPTION 'the limit did not hold';
    EXCEPTION WHEN configuration_limit_exceeded THEN
        NULL;
    END;
END $$;
RESET SESSION AUTHORIZATION;

DO $$
BEGIN
    ASSERT (SELECT bool_and(ok) FROM redoubt.verify_audit()), 'the audit trail is whole';
END $$;
DROP TABLE customer;
DROP EXTENSION redoubt;
\echo installed package works
