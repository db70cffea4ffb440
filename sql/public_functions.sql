--
-- What PUBLIC may call, called with everything: each function of the extension and of token types of every kind, with
-- NULLs, edge values and other types' tokens, by SELECT, as an aggregate's, an operator's, a domain's, a default's and a
-- constraint's function.  Nothing crashes, nothing is an internal error, nothing is revealed.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_public_writer;
CREATE ROLE regress_public_stranger LOGIN;
CREATE SCHEMA public_s;
GRANT USAGE ON SCHEMA public_s TO PUBLIC;
SELECT redoubt.create_token_type('public_s.card', method => 'fpe', format => 'digits(8,20)') IS NOT NULL AS made,
  redoubt.create_token_type('public_s.number', method => 'fpe', format => 'integer(1000000,9999999)') IS NOT NULL,
  redoubt.create_token_type('public_s.code', method => 'vault') IS NOT NULL,
  redoubt.create_token_type('public_s.ssn', method => 'vault', format => 'us_ssn') IS NOT NULL,
  redoubt.create_token_type('public_s.note', deterministic => false) IS NOT NULL;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.bytes_token(bytea), public_s.card(text), public_s.number(bigint),
  public_s.code(text), public_s.ssn(text), public_s.note(text) TO regress_public_writer;

-- Tokens to call with.
SET ROLE regress_public_writer;
CREATE TEMP TABLE token AS SELECT redoubt.email_token('secret-value@example.com') AS email, redoubt.bytes_token('secret-value') AS bytes,
  '77777777'::text::public_s.card AS card, 7777777::bigint::public_s.number AS number, 'secret-value'::text::public_s.code AS code,
  '777-77-7777'::text::public_s.ssn AS ssn, public_s.note('secret-value') AS note;
GRANT SELECT ON token TO PUBLIC;
RESET ROLE;

-- The functions; meter() and its like are the planner's.
CREATE TEMP VIEW open_function AS
  SELECT p.oid, p.oid::regprocedure::text AS name, p.proname, p.pronamespace::regnamespace::text AS schema, p.proargtypes::oid[] AS arguments, p.prorettype, p.proretset, p.prokind
  FROM pg_proc AS p
  WHERE (p.probin = '$libdir/redoubt' OR p.pronamespace IN ('redoubt'::regnamespace, 'public_s'::regnamespace))
    AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) AS a WHERE a.grantee = 0));
GRANT SELECT ON open_function TO PUBLIC;
-- By kind, so that one more shows.
SELECT regexp_replace(proname, '^(email_token|phone_token|name_token|text_token|bytes_token|card|number|code|ssn|note)', 'T') AS function,
       count(*) FROM open_function WHERE proname !~ '^meter' GROUP BY 1 ORDER BY 1;

CREATE TEMP TABLE edge (type regtype, value text);
INSERT INTO edge
  SELECT t, v FROM (VALUES ('text'::regtype), ('bpchar'), ('cstring')) AS a(t),
    (VALUES (quote_literal('')), (quote_literal('secret-value@example.com')), (quote_literal('tok_')), (quote_literal('tok_AAAA')), (quote_literal(repeat('x', 100000)))) AS b(v)
  UNION ALL SELECT 'text', format('%L', email) FROM token
  UNION ALL SELECT 'bytea', v FROM (VALUES ($$''$$), ($$'\x00'$$), ($$decode(repeat('ff', 100000), 'hex')$$)) AS b(v)
  UNION ALL SELECT t, v FROM (VALUES ('integer'::regtype), ('bigint')) AS a(t), (VALUES ('0'), ('-1'), ('2147483647'), ('7777777')) AS b(v)
  UNION ALL SELECT 'bigint', v FROM (VALUES ('9223372036854775807'), ('-9223372036854775808')) AS b(v)
  UNION ALL SELECT t, v FROM (VALUES ('oid'::regtype), ('regtype'), ('regrole')) AS a(t), (VALUES ('0'), ('16'), ('4294967295')) AS b(v)
  UNION ALL SELECT 'regtype', format('%L', typ::regtype) FROM redoubt.token_type WHERE typ::text !~ 'regress'
  UNION ALL SELECT 'boolean', v FROM (VALUES ('true'), ('false')) AS b(v)
  UNION ALL SELECT 'text[]', v FROM (VALUES ($$'{}'$$), ($$'{NULL}'$$), ($$'{{secret-value@example.com},{tok_}}'$$), ($$'[5:6]={a,tok_AAAA}'$$)) AS b(v)
  UNION ALL SELECT 'anyelement', v FROM (VALUES ('1'), ($$'x'::text$$), ('NULL::text'), ('(SELECT email FROM token)'), ('(SELECT ssn FROM token)'), ('ROW(1)'), ('ARRAY[1]')) AS b(v)
  UNION ALL SELECT t.typ, format('(SELECT %I FROM token)', c.attname) FROM pg_attribute AS c, redoubt.token_type AS t
    WHERE c.attrelid = 'token'::regclass AND c.attnum > 0 AND c.atttypid = t.typ
  UNION ALL SELECT p.typarray, v FROM redoubt.token_type AS t JOIN pg_type AS p ON p.oid = t.typ, (VALUES ($$'{}'$$), ($$'{NULL,NULL}'$$)) AS b(v);
INSERT INTO edge SELECT type, 'NULL' FROM edge WHERE type <> 'anyelement'::regtype GROUP BY 1;
GRANT SELECT ON edge TO PUBLIC;

-- Calls a function with each edge value at each place, the others being the first of their type or NULL, in each way.
CREATE FUNCTION pg_temp.call_all() RETURNS TABLE (problem text, function text, how text, calls bigint) LANGUAGE plpgsql AS $body$
DECLARE
  f open_function;
  ways text[];
  way text;
  call text;
  list text;
  answer text;
  other constant text := $$coalesce((SELECT format('(%s)::%s', e.value, e.type) FROM edge AS e WHERE e.type = a.type ORDER BY e.value = 'NULL', e.value COLLATE "C" LIMIT 1), format('NULL::%s', a.type))$$;
BEGIN
  calls := 0;
  FOR f IN SELECT * FROM open_function AS o WHERE o.proname !~ '^meter' AND NOT 'internal'::regtype = ANY (o.arguments) AND o.prorettype <> 'internal'::regtype ORDER BY o.name LOOP
    function := f.name;
    FOR list IN EXECUTE format($q$
        SELECT coalesce(string_agg(CASE WHEN a.place = p.place THEN p.value ELSE %s END, ', ' ORDER BY a.place), '')
        FROM (SELECT u.place, CASE WHEN e.type = 'anyelement'::regtype THEN e.value ELSE format('(%%s)::%%s', e.value, e.type) END AS value
              FROM unnest($1) WITH ORDINALITY AS u(type, place) JOIN edge AS e ON e.type = u.type UNION ALL SELECT 0, '') AS p
        LEFT JOIN unnest($1) WITH ORDINALITY AS a(type, place) ON true GROUP BY p.place, p.value$q$, replace(other, 'a.type', 'a.type::regtype')) USING f.arguments LOOP
      call := format('%s.%I(%s)', f.schema, f.proname, list);
      ways := ARRAY['SELECT (' || call || ')::text'];
      IF calls % 7 = 0 THEN
        ways := ways || format('CREATE TEMP TABLE x (a boolean DEFAULT (%1$s) IS NULL CHECK ((%1$s) IS NULL OR true))', call)
          || format('CREATE DOMAIN pg_temp.x AS int CHECK ((%s) IS NULL OR true)', call)
          || format('CREATE AGGREGATE pg_temp.x (%s) (SFUNC = %s.%I, STYPE = %s)',
                    (SELECT string_agg(format_type(u.type, NULL), ', ' ORDER BY u.place) FROM unnest(f.arguments[2:]) WITH ORDINALITY AS u(type, place)), f.schema, f.proname, format_type(f.arguments[1], NULL))
          || format('CREATE OPERATOR pg_temp.### (FUNCTION = %s.%I, LEFTARG = %s, RIGHTARG = %s)', f.schema, f.proname, format_type(f.arguments[1], NULL), format_type(f.arguments[2], NULL));
      END IF;
      FOREACH way IN ARRAY ways LOOP
        CONTINUE WHEN way IS NULL;
        calls := calls + 1;
        how := substring(way FROM '^\w+(?: TEMP)?(?: \w+)?');
        problem := NULL;
        BEGIN
          EXECUTE way INTO answer;
          IF way LIKE 'CREATE TEMP TABLE%' THEN
            INSERT INTO x DEFAULT VALUES;
          ELSIF way LIKE 'CREATE DOMAIN%' THEN
            EXECUTE 'SELECT 1::pg_temp.x' INTO answer;
          ELSIF way LIKE 'CREATE AGGREGATE%' THEN
            EXECUTE format('SELECT pg_temp.x(%s)::text FROM generate_series(1, 3)', regexp_replace(list, '^\(\(?[^,]*, ', '')) INTO answer;
          ELSIF way LIKE 'CREATE OPERATOR%' THEN
            EXECUTE format('SELECT (%s)::text', (SELECT string_agg(format('(NULL::%s)', format_type(u.type, NULL)), ' OPERATOR(pg_temp.###) ' ORDER BY u.place) FROM unnest(f.arguments) WITH ORDINALITY AS u(type, place))) INTO answer;
          END IF;
          IF answer ~ 'secret|7777777' AND position(answer IN list) = 0 THEN problem := 'revealed'; END IF;
          RAISE EXCEPTION USING ERRCODE = 'RB000';  -- takes back what was made
        EXCEPTION WHEN OTHERS THEN
          IF SQLSTATE ~ '^XX000' THEN problem := SQLERRM; END IF;
          IF SQLERRM ~ 'secret|7777777' THEN problem := 'named a value'; END IF;
        END;
        IF problem IS NOT NULL THEN RETURN NEXT; END IF;
      END LOOP;
    END LOOP;
  END LOOP;
  problem := CASE WHEN calls > 2000 THEN 'none further' ELSE 'hardly any calls' END;
  function := NULL;
  how := NULL;
  RETURN NEXT;
END
$body$;
SET SESSION AUTHORIZATION regress_public_stranger;
SELECT DISTINCT problem, function, how FROM pg_temp.call_all() ORDER BY 2, 1, 3;
SET redoubt.reveal = 'auto';
SELECT DISTINCT problem, function, how FROM pg_temp.call_all() ORDER BY 2, 1, 3;
RESET SESSION AUTHORIZATION;

SELECT redoubt.disable_tokens('public_s.code') > 0 AS disabled, redoubt.disable_tokens('public_s.ssn') > 0;
DROP TABLE token CASCADE;
SELECT redoubt.drop_token_type(typ) FROM redoubt.token_type WHERE typ::text LIKE 'public\_s.%';
DROP SCHEMA public_s CASCADE;
DROP OWNED BY regress_public_writer, regress_public_stranger;
DROP ROLE regress_public_writer, regress_public_stranger;
