-- setup.sql - the objects that random statements meet, and what their protected values look like.
--
-- Every protected value is recognisable wherever it turns up: tests.marker lists all of them,
-- and their tokens and masks, with the token type and the operation that pays for them.
-- fuzz_1 and fuzz_2 run statements; generator is what sqlsmith logs in as: it sees the same
-- tables, but none of schema redoubt.
\set ON_ERROR_STOP 1
CREATE EXTENSION redoubt;
CREATE TYPE mood AS ENUM ('glad', 'sad');
SELECT redoubt.create_token_type('legacy_mail'), redoubt.create_token_type('legacy_note'),
  redoubt.create_token_type('legacy_number'), redoubt.create_token_type('legacy_domain'),
  redoubt.create_token_type('badge', mask => 'keep_last(6)'),
  redoubt.create_token_type('random_badge', deterministic => false),
  redoubt.create_token_type('ticket', method => 'fpe', format => 'TM-(\d{7})'),
  redoubt.create_token_type('account', method => 'fpe', format => 'integer(1000000,9999999999)');

CREATE ROLE fuzz;
CREATE ROLE generator LOGIN IN ROLE fuzz;
CREATE ROLE fuzz_1 LOGIN IN ROLE fuzz;
CREATE ROLE fuzz_2 LOGIN IN ROLE fuzz;
CREATE ROLE definer;
REVOKE SELECT ON ALL TABLES IN SCHEMA redoubt FROM PUBLIC;
GRANT SELECT ON redoubt.usage TO fuzz_1, fuzz_2;

-- All may be tokenized; e-mails, tickets and accounts revealed, badges masked, the rest not at all.
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.phone_token(text), redoubt.name_token(text),
  redoubt.text_token(text), redoubt.bytes_token(bytea), redoubt.badge(text), redoubt.random_badge(text),
  redoubt.ticket(text), redoubt.account(bigint) TO postgres, fuzz;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.detokenize(redoubt.bytes_token),
  redoubt.detokenize(redoubt.ticket), redoubt.detokenize(redoubt.account), redoubt.mask(redoubt.badge),
  redoubt.mask(redoubt.ticket) TO fuzz;

-- value(class, i): the plaintext number i of a class, found again by its marker.
CREATE SCHEMA tests;
CREATE FUNCTION tests.value(class text, i int) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN 'zq' || class || lpad(i::text, 6, '0') || 'qz';

-- ---- token columns

CREATE TABLE person (
  id int PRIMARY KEY, email redoubt.email_token UNIQUE, phone redoubt.phone_token, name redoubt.name_token,
  note redoubt.text_token, photo redoubt.bytes_token, badge redoubt.badge, pass redoubt.random_badge,
  ticket redoubt.ticket, account redoubt.account, mails redoubt.email_token[], region int CHECK (region >= 0), since date);
INSERT INTO person
  SELECT i, (tests.value('e', i) || '@example.com')::text, ('+1212555' || lpad(i::text, 4, '0'))::text, tests.value('n', i),
    tests.value('t', i), tests.value('y', i)::bytea, tests.value('b', i), tests.value('r', i),
    redoubt.tokenize('TM-' || 7100000 + i, 'redoubt.ticket')::redoubt.ticket, redoubt.account(7200000000 + i),
    ARRAY[(tests.value('e', i) || '@example.com')::text, (tests.value('e', i + 1) || '@example.com')::text]::redoubt.email_token[],
    i % 5, date '2020-01-01' + i
  FROM generate_series(1, 60) AS i;
CREATE INDEX ON person (badge);
CREATE INDEX ON person (ticket);

CREATE TYPE contact AS (email redoubt.email_token, badge redoubt.badge, rank int);
CREATE DOMAIN work_email AS redoubt.email_token CHECK (VALUE IS NOT NULL);
CREATE TABLE card (id int PRIMARY KEY, person int REFERENCES person, contact contact, work work_email, owner person);
INSERT INTO card SELECT p.id, p.id, ROW(p.email, p.badge, p.region)::contact, p.email, p FROM person AS p;

-- ---- labelled plaintext columns

CREATE DOMAIN secret AS text;
SECURITY LABEL FOR redoubt ON DOMAIN secret IS 'legacy_domain';
CREATE TABLE client (
  id int PRIMARY KEY, email text UNIQUE, remark text, number bigint, papers jsonb, tags text[], secret secret, region int,
  shout text GENERATED ALWAYS AS (upper(email)) STORED, visits int CHECK (visits >= 0));
SECURITY LABEL FOR redoubt ON COLUMN client.email IS 'legacy_mail';
SECURITY LABEL FOR redoubt ON COLUMN client.remark IS 'legacy_note';
SECURITY LABEL FOR redoubt ON COLUMN client.number IS 'legacy_number';
SECURITY LABEL FOR redoubt ON COLUMN client.papers IS 'legacy_note';
SECURITY LABEL FOR redoubt ON COLUMN client.tags IS 'legacy_note';
INSERT INTO client (id, email, remark, number, papers, tags, secret, region, visits)
  SELECT i, tests.value('m', i), tests.value('k', i), 7700000000 + i, jsonb_build_object('paper', tests.value('j', i), 'n', i),
    ARRAY[tests.value('a', i), tests.value('a', i + 1)], tests.value('d', i), i % 5, i
  FROM generate_series(1, 60) AS i;
CREATE INDEX ON client (lower(email));
CREATE INDEX ON client (number);

CREATE TABLE visit (id int, email text, day int) PARTITION BY RANGE (day);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (30);
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM (30) TO (100);
SECURITY LABEL FOR redoubt ON COLUMN visit.email IS 'legacy_mail';
INSERT INTO visit SELECT i, tests.value('m', i), i FROM generate_series(1, 60) AS i;

CREATE TABLE message (id int, sender text, badge redoubt.badge);
CREATE TABLE letter (stamp int) INHERITS (message);
SECURITY LABEL FOR redoubt ON COLUMN message.sender IS 'legacy_mail';
INSERT INTO message SELECT i, tests.value('m', i), tests.value('b', i) FROM generate_series(1, 30) AS i;
INSERT INTO letter SELECT i, tests.value('m', i), tests.value('b', i), i FROM generate_series(31, 60) AS i;

CREATE TABLE own (id int, email text);
SECURITY LABEL FOR redoubt ON COLUMN own.email IS 'legacy_mail';
INSERT INTO own SELECT i, tests.value('m', i) FROM generate_series(1, 40) AS i;
ALTER TABLE own ENABLE ROW LEVEL SECURITY;
CREATE POLICY older ON own USING (length(email) > 0 AND id > 5);

-- ---- what is not protected

CREATE TABLE region (id int PRIMARY KEY, name text, size float8, opened timestamptz);
INSERT INTO region SELECT i, 'region ' || i, i * 1.5, timestamptz '2020-01-01 UTC' + i * interval '1 day' FROM generate_series(0, 9) AS i;
CREATE TABLE sink (id int, x text, number bigint, day date);

-- ---- views and functions

CREATE VIEW v_client AS SELECT id, email, number, region FROM client;
CREATE VIEW v_barrier WITH (security_barrier) AS SELECT id, email, remark FROM client WHERE region < 3;
CREATE VIEW v_both AS SELECT c.id, c.email AS legacy, p.email, p.badge, p.ticket FROM client AS c JOIN person AS p USING (id);
CREATE VIEW v_union AS SELECT id, email FROM client UNION ALL SELECT id, sender FROM message;
CREATE VIEW v_group AS SELECT region, count(*) AS n, min(email) AS least, string_agg(remark, ',') AS remarks FROM client GROUP BY region;
CREATE VIEW v_window AS SELECT id, lag(email) OVER (PARTITION BY region ORDER BY id) AS before, rank() OVER (ORDER BY number) AS place FROM client;
CREATE MATERIALIZED VIEW m_client AS SELECT id, email, region FROM client;

CREATE FUNCTION first_letter(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN left($1, 1); END';
CREATE FUNCTION shown(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RAISE NOTICE '%', $1; RETURN $1; END$$;
CREATE FUNCTION trusted(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN length($1); END';
SECURITY LABEL FOR redoubt ON FUNCTION trusted(text) IS 'trusted';
CREATE FUNCTION by_id(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM client WHERE id = $1';
CREATE FUNCTION badge_of(int) RETURNS redoubt.badge LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT badge FROM person WHERE id = $1); END';
CREATE FUNCTION mail_of(int) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT email::text FROM person WHERE id = $1); END';
CREATE FUNCTION all_of(int) RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT array_agg(email) FROM client WHERE region = $1';
ALTER FUNCTION all_of(int) OWNER TO definer;
CREATE FUNCTION read_at(int) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN (SELECT remark FROM client WHERE id = $1); END';
CREATE FUNCTION badges() RETURNS TABLE (id int, badge redoubt.badge, mail redoubt.email_token) LANGUAGE plpgsql STABLE AS
  'BEGIN RETURN QUERY SELECT p.id, p.badge, p.email FROM person AS p; END';
CREATE VIEW v_badges AS SELECT * FROM badges();
CREATE FUNCTION records(int) RETURNS SETOF record LANGUAGE sql VOLATILE AS 'SELECT id, note, account FROM person WHERE region = $1';
CREATE VIEW v_records AS SELECT r.* FROM region, records(region.id) AS r(id int, note redoubt.text_token, account redoubt.account);
CREATE FUNCTION joined(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT coalesce($1, '') || coalesce($2, '')$$;
CREATE AGGREGATE chain(text) (sfunc = joined, stype = text, combinefunc = joined, parallel = safe);

-- Code that is not trusted stands on protected tables where it was made with leave: then what it gets is charged.
SET redoubt.mode = 'observe';
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '% %', old.email, new.id; RETURN new; END$$;
CREATE TRIGGER tell BEFORE UPDATE ON client FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER tell BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION tell();
CREATE FUNCTION tell_all() RETURNS trigger LANGUAGE plpgsql AS $$DECLARE s text; BEGIN SELECT string_agg(email, ' ') INTO s FROM gone; RAISE NOTICE '%', s; RETURN NULL; END$$;
CREATE TRIGGER tell_all AFTER DELETE ON visit REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION tell_all();
CREATE RULE copied AS ON DELETE TO own DO ALSO INSERT INTO sink (id, x) VALUES (old.id, old.email);

GRANT ALL ON ALL TABLES IN SCHEMA public TO fuzz, definer;
ANALYZE;

-- ---- the markers

CREATE TABLE tests.marker (form text, token_type text, operation text, value text);
SET redoubt.reveal = 'token';
INSERT INTO tests.marker (value, token_type, operation)
  SELECT tests.value(class, i), type, operation
  FROM (VALUES ('e', 'email_token', 'reveal'), ('n', 'name_token', 'reveal'), ('t', 'text_token', 'reveal'), ('y', 'bytes_token', 'reveal'),
          ('b', 'badge', 'reveal'), ('r', 'random_badge', 'reveal'), ('m', 'legacy_mail', 'read'), ('k', 'legacy_note', 'read'),
          ('j', 'legacy_note', 'read'), ('a', 'legacy_note', 'read'), ('d', 'legacy_domain', 'read')) AS c(class, type, operation),
    generate_series(1, 61) AS i
  UNION ALL SELECT '+1212555' || lpad(i::text, 4, '0'), 'phone_token', 'reveal' FROM generate_series(1, 60) AS i
  UNION ALL SELECT 'TM-' || 7100000 + i, 'ticket', 'reveal' FROM generate_series(1, 60) AS i
  UNION ALL SELECT (7200000000 + i)::text, 'account', 'reveal' FROM generate_series(1, 60) AS i
  UNION ALL SELECT (7700000000 + i)::text, 'legacy_number', 'read' FROM generate_series(1, 60) AS i
  UNION ALL SELECT '•••' || right(tests.value('b', i), 5), 'badge', 'masked' FROM generate_series(1, 60) AS i
  UNION ALL SELECT redoubt.token(email), 'email_token', 'read' FROM person
  UNION ALL SELECT redoubt.token(unnest(mails)), 'email_token', 'read' FROM person
  UNION ALL SELECT redoubt.token(phone), 'phone_token', 'read' FROM person
  UNION ALL SELECT redoubt.token(name), 'name_token', 'read' FROM person
  UNION ALL SELECT redoubt.token(note), 'text_token', 'read' FROM person
  UNION ALL SELECT redoubt.token(photo), 'bytes_token', 'read' FROM person
  UNION ALL SELECT redoubt.token(badge), 'badge', 'read' FROM person
  UNION ALL SELECT redoubt.token(badge), 'badge', 'read' FROM message
  UNION ALL SELECT redoubt.token(pass), 'random_badge', 'read' FROM person
  UNION ALL SELECT redoubt.token(ticket), 'ticket', 'read' FROM person
  UNION ALL SELECT redoubt.token(account), 'account', 'read' FROM person;
-- The forms a value may take: as it is, as bytea prints it, backwards.  Case does not count.
UPDATE tests.marker SET form = value;
INSERT INTO tests.marker SELECT encode(convert_to(form, 'UTF8'), 'hex'), token_type, operation, value FROM tests.marker
  UNION ALL SELECT reverse(form), token_type, operation, value FROM tests.marker WHERE form LIKE 'zq%';
