/*
 * Every format of format-preserving token types, by tables of cases.
 *
 * Proves, for each format: values become tokens of the format that keep what they are to keep and come back
 * exactly; equal spellings are one value; masks; what is refused as a value, what is refused as a token (wrong
 * type, length or alphabet, outside of the format, empty, masked), with which error, and that the error holds
 * none of it; NULL is NULL; and which formats are refused at creation.  Tokens are compared, never printed.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
SET redoubt.input = 'token';
CREATE SCHEMA regress_formats;
SELECT redoubt.create_key('regress_formats') AS version;
SET search_path = regress_formats, pg_catalog;

-- The types: format, mask, and a pattern that every token matches.
CREATE TABLE kind (id int PRIMARY KEY, name text, format text, mask text, token_like text);
INSERT INTO kind VALUES
  (1, 'template', 'TM-(\d{7,9})', 'keep_first(3)', '^TM-\d{7,9}$'),
  (2, 'digits', 'digits(8,20)', 'keep_last(2)', '^\d{8,20}$'),
  (3, 'alnum', 'alnum(4,64)', 'full', '^[0-9A-Za-z]{4,64}$'),
  (4, 'alphabet', '([A-HJ-NP-Z2-9]{8,12})', 'full', '^[A-HJ-NP-Z2-9]{8,12}$'),
  (5, 'classes', '([A-Z]{2})-(\d{5})', 'keep_first(2)', '^[A-Z]{2}-\d{5}$'),
  (6, 'card', 'card', 'keep_last(4)', '^[0-9 -]{16,23}$'),
  (7, 'card_fail', 'card(bin=0,length=13-19,check=fail)', 'keep_last(4)', '^[0-9 -]{13,23}$'),
  (8, 'us_ssn', 'us_ssn', 'keep_last(4)', '^\d{3}-?\d{2}-?\d{4}$'),
  (9, 'phone', 'phone', 'phone', '^\+\d+(;ext=\d+)?$'),
  (10, 'guid', 'uuid', 'full', '^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$'),
  (11, 'day', 'date(1000-01-01,4999-12-31)', 'full', '^[1-4]\d{3}-\d\d-\d\d$'),
  (12, 'number', 'integer(1000000,9999999)', 'keep_last(2)', '^[1-9]\d{6}$'),
  (13, 'email', 'email', 'email', '^[a-z0-9]{16,64}@([a-z0-9]+\.)*token\.invalid$'),
  (14, 'email_kept', 'email(domain=kept)', 'email', '^[a-z0-9]{8,64}@.+\.invalid$'),
  (15, 'person', 'name', 'name', '^[[:alpha:] .,''’-]+$'),
  (16, 'name_ascii', 'name(alphabet=ascii,short=8)', 'name', '^[A-Za-z .,''’-]+$'),
  (17, 'name_greek', 'name(alphabet=greek)', 'name', '^[Ͱ-Ͽ .-]+$'),
  (18, 'name_own', 'name(alphabet=[a-zäöüß],upper=[A-ZÄÖÜẞ])', 'name', '^[A-Za-zäöüßÄÖÜẞ ]+$');
SELECT name, redoubt.create_token_type('regress_formats.' || name, method => 'fpe', format => format, mask => mask, key => 'regress_formats') IS NOT NULL AS made
FROM kind ORDER BY id;
DO $$
DECLARE k record;
BEGIN
  FOR k IN SELECT * FROM kind LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %1$I(%2$s), redoubt.detokenize(%1$I), redoubt.mask(%1$I) TO CURRENT_USER', k.name,
                   CASE k.name WHEN 'number' THEN 'bigint' ELSE 'text' END);
  END LOOP;
END $$;
SELECT t.token_type, t.base, t.normalize, t.format FROM redoubt.token_types AS t JOIN kind AS k ON k.name = t.token_type::text ORDER BY k.id;

-- Values: what is tokenized (null: the value itself), how it is masked, and whether the length stays.
CREATE TABLE sample (kind text, value text, tokenized text, same_length boolean);
INSERT INTO sample (kind, value, tokenized, same_length) VALUES
  ('template', 'TM-1234567', NULL, true), ('template', '  TM-123456789 ', 'TM-123456789', true),
  ('digits', '00000000', NULL, true), ('digits', '12345678901234567890', NULL, true),
  ('alnum', 'aB3x', NULL, true), ('alnum', repeat('aB3x', 16), NULL, true),
  ('alphabet', 'K7PQ3XTD', NULL, true), ('classes', 'AB-12345', NULL, true),
  ('card', '4111 1111 1111 1111', NULL, true), ('card', '5500-0000-0000-0000-001', NULL, true),
  ('card_fail', '4111111111111111', NULL, true), ('card_fail', '4222222222222', NULL, true),
  ('us_ssn', '123-45-6789', NULL, true), ('us_ssn', '123456789', NULL, true),
  ('phone', '+44 20 7946 0958', '+442079460958', true), ('phone', '(202) 555-0143 ext. 7', '+12025550143;ext=7', true),
  ('guid', '2C5EA4C0-4067-41FE-8BAD-1F2D3C4B5A01', '2c5ea4c0-4067-41fe-8bad-1f2d3c4b5a01', true), ('guid', '2c5ea4c0406741fe8bad1f2d3c4b5a01', NULL, true),
  ('day', '1000-01-01', NULL, true), ('day', '2000-02-29', NULL, true), ('day', '4999-12-31', NULL, true),
  ('number', '1000000', NULL, true), ('number', '9999999', NULL, true), ('number', ' 4711000 ', '4711000', true),
  ('email', 'a@x.io', NULL, false), ('email', ' Alice.Smith@Example.COM ', 'Alice.Smith@example.com', false),
  ('email', 'jörg+tag@Müller.example', NULL, false), ('email', '"a,b"@x.example', NULL, false), ('email', 'почта@пример.рф', NULL, false),
  ('email', repeat('l', 64) || '@' || repeat('d', 63) || '.' || repeat('d', 63) || '.' || repeat('d', 39), NULL, false),
  ('email_kept', 'a@x.io', NULL, false), ('email_kept', 'Alice@EXAMPLE.com', 'Alice@example.com', false), ('email_kept', 'bob@Müller.example', NULL, false),
  ('email_kept', repeat('l', 64) || '@x.io', NULL, false),
  ('person', 'Mary O''Connor', NULL, true), ('person', '  Anne-Marie   van der Berg ', 'Anne-Marie van der Berg', true), ('person', 'McDonald', NULL, true),
  ('person', 'SMITH, J.', NULL, true), ('person', U&'Rene\0301 O\2019Neill', 'René O’Neill', true), ('person', 'Nguyễn Thị Hằng', NULL, true),
  ('person', 'Strauß', NULL, true), ('person', 'X', NULL, false), ('person', 'Li', NULL, false), ('person', 'NG', NULL, false), ('person', 'é', NULL, false), ('person', 'dE', NULL, false),
  ('person', repeat('x', 255), NULL, true),
  ('name_ascii', 'Bo', NULL, false), ('name_ascii', 'Bo Li', NULL, false), ('name_ascii', 'O''Hara', NULL, false), ('name_ascii', 'Smith-Jones', NULL, true),
  ('name_greek', 'Παπαδόπουλος', NULL, true), ('name_greek', 'Ζωή', NULL, false), ('name_own', 'Groß', NULL, false), ('name_own', 'MÜLLER', NULL, true);
-- Of each sample: the token has the form of its type, is accepted as one, keeps the length, is not the value, is the same
-- again and comes back.  Short names may by chance keep their letters: that is not asked of them.
SELECT s.kind, count(*) AS samples, bool_and(t.token ~ k.token_like) AS form, bool_and(redoubt.detokenize(t.token, s.kind::regtype) = v.value) AS back,
       bool_and(NOT s.same_length OR char_length(t.token) = char_length(v.value)) AS length, bool_and(t.token <> v.value OR char_length(v.value) < 4) AS other,
       bool_and(t.token = redoubt.tokenize(v.value, s.kind::regtype)) AS again
FROM sample AS s JOIN kind AS k ON k.name = s.kind, LATERAL (SELECT coalesce(tokenized, s.value)) AS v(value),
     LATERAL (SELECT redoubt.tokenize(s.value, s.kind::regtype)) AS t(token)
GROUP BY k.id, s.kind ORDER BY k.id;
SELECT s.kind, left(coalesce(tokenized, value), 40) AS value, redoubt.mask(redoubt.tokenize(s.value, s.kind::regtype), s.kind::regtype) AS masked
FROM sample AS s JOIN kind AS k ON k.name = s.kind WHERE char_length(value) < 100 ORDER BY k.id, s.value COLLATE "C";

-- What is kept.
SELECT redoubt.tokenize('4111 1111 1111 1111', 'card') LIKE '4111 11__ ____ 1111' AS card, redoubt.tokenize('+442079460958', 'phone') LIKE '+44__________' AS phone,
       redoubt.tokenize('2c5ea4c0-4067-41fe-8bad-1f2d3c4b5a01', 'guid') LIKE '________-____-4___-8___-____________' AS uuid,
       redoubt.tokenize('alice@example.com', 'email_kept') LIKE '________@example.com.invalid' AS email, redoubt.tokenize('alice@example.com', 'email') NOT LIKE '%example%' AS hidden,
       redoubt.tokenize('Mary O''Connor-mcDonald', 'person') ~ '^[[:upper:]][[:lower:]]{3} [[:upper:]]''[[:upper:]][[:lower:]]{5}-[[:lower:]]{2}[[:upper:]][[:lower:]]{5}$' AS name;
-- One-letter and two-letter names have a million tokens or more to choose from, and no two share one.
SELECT count(*), count(DISTINCT redoubt.tokenize(a || b, 'person')) AS tokens, bool_and(redoubt.detokenize(redoubt.tokenize(a || b, 'person'), 'person') = a || b) AS back,
       bool_and(char_length(redoubt.tokenize(a || b, 'person')) <= 3) AS up_to_three
FROM (SELECT chr(c) AS a FROM generate_series(65, 90) AS c) AS first, (SELECT '' AS b UNION ALL SELECT chr(c) FROM generate_series(97, 122) AS c) AS second;
SELECT count(*), count(DISTINCT redoubt.tokenize(a || b || '@x.io', 'email_kept')) AS kept, count(DISTINCT redoubt.tokenize(a || b || '@x.io', 'email')) AS hidden
FROM (SELECT chr(c) AS a FROM generate_series(97, 122) AS c) AS first, (SELECT '' AS b UNION ALL SELECT chr(c) FROM generate_series(97, 122) AS c) AS second;

-- What is refused: as a value, by tokenize; as a token, by the type's input and by detokenize.  The message, and whether it holds any of it.
CREATE FUNCTION refusal(statement text, VARIADIC what text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; detail text; hint text;
BEGIN
  EXECUTE statement USING what;
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ' ' || regexp_replace(message, '^.*type [\w.]+: ', '')
    || CASE WHEN char_length(what[1]) > 4 AND strpos(message || detail || hint, what[1]) > 0 THEN ' (REPEATED)' ELSE '' END;
END $$;
CREATE TABLE bad (kind text, id int, text text);
INSERT INTO bad VALUES
  ('template', 1, 'TM-123456'), ('template', 2, 'TM-1234567890'), ('template', 3, 'TN-1234567'), ('template', 4, 'TM-123456x'),
  ('digits', 1, '1234567'), ('digits', 2, '123456789012345678901'), ('digits', 3, '1234567x'),
  ('alnum', 1, 'abc'), ('alnum', 2, repeat('a', 65)), ('alnum', 3, 'abcdé'),
  ('alphabet', 1, 'K7PQ3XT'), ('alphabet', 2, 'K7PQ3XTDK7PQ3'), ('alphabet', 3, 'K7PQ3XTO'),
  ('classes', 1, 'AB-1234'), ('classes', 2, 'AB-123456'), ('classes', 3, 'aB-12345'),
  ('card', 1, '4111 1111 1111 111'), ('card', 2, '41111111111111111111'), ('card', 3, '4111x1111x1111x1111'),
  ('card_fail', 1, '411111111111'), ('card_fail', 2, '41111111111111111111'), ('card_fail', 3, '4111111111111117'), ('card_fail', 4, '411111111111111x'),
  ('us_ssn', 1, '123-45-678'), ('us_ssn', 2, '123-45-67890'), ('us_ssn', 3, '123-45-678x'),
  ('phone', 1, '+4420'), ('phone', 2, '+44207946095812345'), ('phone', 3, '+44207946095x'), ('phone', 4, '+210123456789'),
  ('guid', 1, '2c5ea4c0-4067-41fe-8bad-1f2d3c4b5a0'), ('guid', 2, '2c5ea4c0-4067-41fe-8bad-1f2d3c4b5a011'), ('guid', 3, 'gc5ea4c0-4067-41fe-8bad-1f2d3c4b5a01'),
  ('day', 1, '2001-02-29'), ('day', 2, '0999-12-31'), ('day', 3, '2001-1-1'), ('day', 4, '2001/01/01'),
  ('number', 1, '999999'), ('number', 2, '10000000'), ('number', 3, '99999999999999999999'), ('number', 4, 'secret'), ('number', 5, '1e6'),
  ('email', 1, 'alice'), ('email', 2, '@example.com'), ('email', 3, 'alice@'), ('email', 4, 'al ice@example.com'), ('email', 5, 'a@b@example.com'), ('email', 6, 'alice@[192.0.2.1]'),
  ('email', 7, repeat('l', 65) || '@example.com'), ('email', 8, 'l@' || repeat(repeat('d', 60) || '.', 3) || repeat('d', 60)),
  ('email', 9, 'l@' || repeat(repeat('d', 60) || '.', 4) || repeat('d', 60)), ('email', 10, 'secret@somewhere.invalid'), ('email', 11, repeat('a', 17) || '@token.invalid'),
  ('email', 12, repeat('A', 16) || '@token.invalid'),
  ('email_kept', 1, 'alice'), ('email_kept', 2, '@example.com'), ('email_kept', 3, repeat('L', 33) || '@example.com'), ('email_kept', 4, 'l@' || repeat(repeat('d', 60) || '.', 3) || repeat('d', 60)),
  ('email_kept', 5, 'secret@example.invalid'), ('email_kept', 6, 'aaaaaaaa@invalid'),
  ('person', 1, 'John 3rd'), ('person', 2, '---'), ('person', 3, repeat('x', 256)), ('person', 4, 'Иванов'), ('person', 5, U&'Smi\0323\0301th x\0328'), ('person', 6, 'Smith (John)'), ('person', 7, U&'Smi\0007th'),
  ('name_ascii', 1, 'José'), ('name_greek', 1, 'Smith'), ('name_own', 1, 'José'), ('name_own', 2, 'O1');
INSERT INTO bad SELECT name, 90, '' FROM kind UNION ALL SELECT name, 91, '   ' FROM kind UNION ALL SELECT name, 92, '•••secret' FROM kind;
SELECT kind, b.id, refusal(format('SELECT redoubt.tokenize($1[1], %L)', kind), text) AS as_value, refusal(format('SELECT CAST(%L AS %s)', text, kind), text) AS as_token,
       refusal(format('SELECT redoubt.detokenize($1[1], %L)', kind), text) = refusal(format('SELECT CAST(%L AS %s)', text, kind), text) AS same_by_detokenize
FROM bad AS b JOIN kind AS k ON k.name = b.kind ORDER BY k.id, b.id;
-- Of the wrong type: which formats take values of which others as tokens of theirs.  Of email none, not even addresses.
SELECT k.name AS type, string_agg(DISTINCT s.kind, ' ') AS takes_values_of
FROM kind AS k JOIN sample AS s ON s.kind <> k.name
WHERE refusal(format('SELECT CAST(%L AS %s)', coalesce(s.tokenized, s.value), k.name), 'x') = 'accepted' GROUP BY k.id, k.name ORDER BY k.id;
SELECT DISTINCT s.kind, k.name, refusal(format('SELECT CAST(%L AS %s)', coalesce(s.tokenized, s.value), k.name), s.value) AS why
FROM kind AS k, sample AS s WHERE k.name LIKE 'email%' AND s.kind LIKE 'email%' ORDER BY 1, 2;
-- Well-formed e-mail tokens that were never made are damaged rather than garbage (few of them do decrypt to an address).
SELECT kind, bool_or(why LIKE 'XX001 %') AS refused, bool_and(why IN ('accepted', 'XX001 it has not the type''s format')) AS nothing_else
FROM (VALUES ('email', '@token.invalid'), ('email_kept', '@x.io.invalid')) AS v(kind, domain), generate_series(1, 20) AS i,
     LATERAL (SELECT refusal(format('SELECT redoubt.detokenize($1[1], %L)', kind), md5(i::text) || md5('x' || i) || domain)) AS r(why)
GROUP BY kind ORDER BY kind;
-- A token is no value of its own type: it cannot be tokenized a second time.
SELECT refusal('SELECT redoubt.tokenize(redoubt.tokenize($1[1], ''email''), ''email'')', 'alice@example.com') AS email,
       refusal('SELECT redoubt.tokenize(redoubt.tokenize($1[1], ''email_kept''), ''email_kept'')', 'alice@example.com') AS email_kept,
       refusal('SELECT redoubt.tokenize(redoubt.tokenize($1[1], ''card_fail''), ''card_fail'')', '4111111111111111') AS card_fail;

-- NULL.
SELECT name, redoubt.tokenize(NULL, name::regtype) IS NULL AND redoubt.detokenize(NULL, name::regtype) IS NULL AND redoubt.mask(NULL, name::regtype) IS NULL AS null_is_null
FROM kind ORDER BY id;
CREATE TABLE customer (id int, name name_ascii UNIQUE, address email UNIQUE, kept email_kept);
INSERT INTO customer VALUES (1, NULL, NULL, NULL), (2, redoubt.tokenize('Bo Li', 'name_ascii'), redoubt.tokenize('a@x.io', 'email'), redoubt.tokenize('a@x.io', 'email_kept'));
SELECT id, redoubt.detokenize(c.name), redoubt.detokenize(address), redoubt.detokenize(kept) FROM customer AS c ORDER BY id;
SELECT id FROM customer AS c WHERE c.name = name_ascii('Bo Li'::text) AND address = email('a@X.io'::text);
SELECT refusal('INSERT INTO regress_formats.customer (id, address) VALUES (3, redoubt.tokenize($1[1], ''email''))', ' a@X.IO') AS same_address;

-- Normalisers are for the administrator to choose; the format still judges.
SELECT redoubt.create_token_type('regress_formats.lowered', method => 'fpe', format => 'email', "normalize" => 'lower', key => 'regress_formats') AS made;
SELECT redoubt.create_token_type('regress_formats.shouted', method => 'fpe', format => 'name', "normalize" => 'upper', pattern => '^.{2,}$', key => 'regress_formats') AS made;
GRANT EXECUTE ON FUNCTION lowered(text), redoubt.detokenize(lowered), shouted(text), redoubt.detokenize(shouted) TO CURRENT_USER;
SELECT redoubt.detokenize(redoubt.tokenize('Alice@Example.com', 'lowered'), 'lowered'), redoubt.detokenize(redoubt.tokenize('Smith', 'shouted'), 'shouted'),
       refusal('SELECT redoubt.tokenize($1[1], ''shouted'')', 'S') AS too_short, refusal('SELECT redoubt.tokenize($1[1], ''lowered'')', 'alice') AS no_address;

-- Formats that are refused at creation.
SELECT format, refusal('SELECT redoubt.create_token_type(''regress_formats.refused'', method => ''fpe'', format => $1[1])', format) AS why
FROM (VALUES ('email(domain=example.com)'), ('email(local)'), ('name(alphabet=klingon)'), ('name(short=2)'), ('name(short=7)'), ('name(alphabet=[a-z],upper=[A-Y])'),
             ('name(alphabet=[a-z-])'), ('name(upper=[A-Z])'), ('digits(5)'), ('alnum(3,9)'), ('card(length=13-19)'), ('date(1900-01-01,2099-12-31)'), ('integer(1,999999)'),
             ('(\d{5})'), ('([A-Z]{2})(\d{3})'), ('uuid(4)'), ('phone(US)'), ('us_ssn()')) AS f(format);

SELECT to_regtype('regress_formats.refused') IS NULL AS none_made;
DROP TABLE customer, sample, bad;
DO $$ BEGIN PERFORM redoubt.drop_token_type(token_type) FROM redoubt.token_types WHERE key = 'regress_formats'; END $$;
DROP TABLE kind;
DROP FUNCTION refusal;
RESET search_path;
DROP SCHEMA regress_formats;
DELETE FROM redoubt.key WHERE name = 'regress_formats';
