# log_content.pl - proves that plaintext stays out of everything the server writes:
# values planted through statements that work and statements that fail, in every
# protocol, through functions, cursors, COPY, DDL and deadlocks, are afterwards in
# no file of the data directory (tables, indexes, WAL, statistics, audit trail)
# and not in the server log, at its default settings.
#
# What it is not about: a statement that never reaches a protected value (a syntax
# error, a missing table) and settings that log every statement (log_statement,
# log_min_duration_statement); docs/threat_model.md names them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('log_content', streaming => 'logical', conf => [
  'restart_after_crash = on', 'deadlock_timeout = 100ms', 'log_lock_waits = on', 'log_autovacuum_min_duration = 0', 'log_temp_files = 0' ]);
$node->admin(<<~'SQL');
  CREATE SCHEMA desk AUTHORIZATION regress_lead;
  GRANT SELECT, INSERT ON person TO pg_read_all_data;
  CREATE TABLE desk.narrow (email redoubt.email_token UNIQUE CHECK (email IS NOT NULL), seen integer NOT NULL CHECK (seen > 0));
  ALTER TABLE desk.narrow OWNER TO regress_lead;
  SELECT redoubt.create_token_type('desk.strict', "normalize" => 'email', invalid => 'refuse');
  GRANT EXECUTE ON FUNCTION desk.strict(text) TO regress_lead;
  SQL

# plant NAME: an address that is planted nowhere else.  %accepted: statements that are to work.
my (%planted, $number);
sub plant {
  my ($name) = @_;
  my $value = sprintf 'plaintext%03d@planted.example', ++$number;
  $planted{$value} = $name;
  return $value;
}

# run NAME, SQL, SQLSTATE: SQL as regress_lead, or as the role given, with %s replaced by a planted
# address; checks the outcome, so that what is planted really went that way.
sub run {
  my ($name, $sql, $sqlstate, $role) = @_;
  my $value = plant($name);
  $sql =~ s/%s/$value/g;
  my ($out, $err) = ('', '');
  $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, on_error_stop => 1,
    extra_params => [ '-v', 'VERBOSITY=verbose', '-U', $role // 'regress_lead' ]);
  my ($got) = $err =~ /ERROR:  (\w{5}):/;
  is($got // '00000', $sqlstate, "$name ends with $sqlstate") or diag $err;
  return $out;
}

# Statements that work.
run('insert', q{INSERT INTO person VALUES (101, '%s')}, '00000');
run('insert of an expression', q{INSERT INTO person VALUES (102, lower('%s'))}, '00000');
run('typed literal', q{INSERT INTO person VALUES (103, '%s'::text)}, '00000');
run('update', q{UPDATE person SET email = '%s' WHERE id = 1}, '00000');
run('select', q{SELECT * FROM person WHERE email = '%s'}, '00000');
run('select of an expression', q{SELECT * FROM person WHERE redoubt.detokenize(email) = '%s'}, '00000');
run('delete', q{DELETE FROM person WHERE email = '%s'}, '00000');
run('cast', q{SELECT '%s'::redoubt.email_token}, '00000');
run('prepared', q{PREPARE p AS SELECT * FROM person WHERE email = $1; EXECUTE p('%s')}, '00000');
run('cursor', q{BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM person WHERE email = '%s'; COMMIT; FETCH ALL FROM c}, '00000');
run('copy from', "COPY person (id, email) FROM stdin;\n104\t%s\n\\.\n", '00000');
run('explain', q{EXPLAIN (VERBOSE, ANALYZE) SELECT * FROM person WHERE email = '%s'}, '00000');
run('domain', q{CREATE DOMAIN desk.mail AS redoubt.email_token; SELECT '%s'::desk.mail; CREATE TABLE desk.list (m desk.mail[]); INSERT INTO desk.list VALUES (ARRAY['%s'::desk.mail])}, '00000');
run('composite', q{CREATE TYPE desk.pair AS (a redoubt.email_token, b integer); CREATE TABLE desk.pairs (p desk.pair); INSERT INTO desk.pairs VALUES (ROW('%s', 1))}, '00000');
run('default', q{ALTER TABLE desk.list ADD COLUMN e redoubt.email_token DEFAULT '%s'}, '00000');
run('check', q{ALTER TABLE desk.list ADD CHECK (e <> '%s')}, '00000');
run('view', q{CREATE VIEW desk.v AS SELECT id FROM person WHERE email = '%s'}, '00000');
run('partial index', q{CREATE INDEX ON desk.list (m) WHERE e > '%s'}, '00000');
run('list partition', q{CREATE TABLE desk.part (e redoubt.email_token) PARTITION BY LIST (e); CREATE TABLE desk.part1 PARTITION OF desk.part FOR VALUES IN ('%s')}, '00000');
run('temporary table', q{CREATE TEMP TABLE t AS SELECT '%s'::redoubt.email_token AS e; ANALYZE t}, '00000');
run('materialized view under reveal', q{SET redoubt.reveal = 'plain'; CREATE MATERIALIZED VIEW desk.m AS SELECT email, email::text AS shown FROM person; INSERT INTO person VALUES (105, '%s'); REFRESH MATERIALIZED VIEW desk.m}, '00000');
run('output under reveal', q{SET redoubt.reveal = 'plain'; INSERT INTO person VALUES (106, '%s') RETURNING *; SELECT * FROM person; COPY (SELECT * FROM person) TO stdout}, '00000');
run('statistics', q{INSERT INTO desk.narrow VALUES ('%s', 1); ANALYZE desk.narrow; SELECT * FROM pg_stats WHERE schemaname = 'desk'}, '00000');
run('two-phase or rolled back', q{BEGIN; INSERT INTO person VALUES (107, '%s'); ROLLBACK}, '00000');

# Statements that fail.
run('denied', q{INSERT INTO person VALUES (110, '%s')}, '42501', 'regress_clerk');
run('denied cast', q{SELECT redoubt.email_token('%s')}, '42501', 'regress_clerk');
run('denied in a where', q{SELECT * FROM person WHERE email = '%s'}, '42501', 'regress_clerk');
run('denied copy', "COPY person (id, email) FROM stdin;\n110\t%s\n\\.\n", '42501', 'regress_clerk');
run('unique', q{INSERT INTO person VALUES (111, '%s'), (112, '%s')}, '23505');
run('unique of an integer', q{INSERT INTO person VALUES (101, '%s')}, '23505');
run('unique under reveal', q{SET redoubt.reveal = 'plain'; INSERT INTO person VALUES (111, '%s'), (112, '%s')}, '23505');
run('check violation', q{INSERT INTO desk.narrow VALUES ('%s', 0)}, '23514');
run('check violation under reveal', q{SET redoubt.reveal = 'plain'; INSERT INTO desk.narrow VALUES ('%s', 0)}, '23514');
run('not null', q{INSERT INTO desk.narrow VALUES ('%s', NULL)}, '23502');
run('no partition', q{INSERT INTO desk.part VALUES ('%s')}, '23514');
run('invalid value', q{SELECT 'no address %s'::desk.strict}, '22P02');
run('value kept as typed', q{INSERT INTO person VALUES (117, 'no address %s')}, '00000');
run('mask character', q{INSERT INTO person VALUES (113, '•%s')}, '22P02');
run('as a token', q{INSERT INTO person VALUES (113, 'tok_%s')}, '22P02');
run('as an integer', q{SELECT redoubt.detokenize('%s'::redoubt.email_token)::integer}, '22P02');
run('as an integer, revealed', q{INSERT INTO person VALUES (114, '%s'); SELECT redoubt.detokenize(email)::integer FROM person WHERE id = 114}, '22P02');
run('division by zero', q{SELECT 1 / (id - id) FROM person WHERE email <> '%s'}, '22012');
run('prepared, failing', q{PREPARE p(text, int) AS INSERT INTO person VALUES ($2, $1); EXECUTE p('%s', 101)}, '23505');
run('copy, unique', "COPY person (id, email) FROM stdin;\n115\t%s\n116\t%s\n\\.\n", '23505');
run('copy, bad number after it', "COPY person (email, id) FROM stdin;\n%s\tx\n\\.\n", '22P02');
run('copy, bad number before it', "COPY person (id, email) FROM stdin;\nx\t%s\n\\.\n", '22P02');
run('copy, too few columns', "COPY person (email, id) FROM stdin;\n%s\n\\.\n", '22P04');
run('copy, too many columns', "COPY person (email, id) FROM stdin;\n%s\t1\t2\n\\.\n", '22P04');
run('copy, later line', "COPY person (email, id) FROM stdin;\nfirst\@planted.example\t117\n%s\n\\.\n", '22P04');
run('raise', q{DO $$ BEGIN PERFORM '%s'::redoubt.email_token; RAISE EXCEPTION 'could not take %', '%s'; END $$}, 'P0001');
run('raise with a state of its own', q{DO $$ BEGIN PERFORM '%s'::redoubt.email_token; RAISE SQLSTATE 'ZZ001' USING MESSAGE = '%s', DETAIL = '%s', HINT = '%s'; END $$}, 'ZZ001');
run('raise of a revealed value', q{INSERT INTO person VALUES (118, '%s'); DO $$ BEGIN RAISE EXCEPTION 'found %', (SELECT redoubt.detokenize(email) FROM person WHERE id = 118); END $$}, 'P0001');
run('log', q{DO $$ BEGIN PERFORM '%s'::redoubt.email_token; RAISE LOG 'took %', '%s'; END $$}, '00000');
run('raise as a core error', q{DO $$ BEGIN PERFORM '%s'::redoubt.email_token; RAISE insufficient_privilege USING MESSAGE = 'not for %s'; END $$}, '42501');
run('identifier', q{DO $$ BEGIN PERFORM '%s'::redoubt.email_token; EXECUTE 'SELECT "%s"'; END $$}, '42703');
run('warning', q{DO $$ BEGIN PERFORM '%s'::redoubt.email_token; RAISE WARNING 'took %', '%s'; END $$}, '00000');
run('dynamic SQL', q{DO $$ BEGIN EXECUTE format('INSERT INTO person VALUES (101, %L)', '%s'); END $$}, '23505');
run('dynamic SQL, syntax', q{DO $$ BEGIN PERFORM '%s'::redoubt.email_token; EXECUTE format('INSERT INTO person VALUES (101, %L', '%s'); END $$}, '42601');
run('caught', q{DO $$ BEGIN INSERT INTO person VALUES (101, '%s'); EXCEPTION WHEN unique_violation THEN RAISE NOTICE 'caught %', SQLERRM; RAISE; END $$}, '23505');
run('assert', q{DO $$ BEGIN ASSERT '%s'::redoubt.email_token IS NULL, 'not null: %s'; END $$}, 'P0004');
run('timeout', q{SET statement_timeout = '100ms'; SELECT pg_sleep(10) FROM person WHERE email <> '%s'}, '57014');
run('missing table after it', q{SELECT '%s'::redoubt.email_token, missing FROM person}, '42703');
run('limit', q{SELECT redoubt.email_token('%s')}, '00000');
$node->admin(q{SELECT redoubt.set_limit('regress_agent', 'redoubt.email_token', 'tokenize', 1, '1 day');
  GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_agent});
run('over a limit', q{SELECT 'one@planted.example'::redoubt.email_token; SELECT * FROM person WHERE email = '%s'}, '53400', 'regress_agent');

# Statements that fail before anything is tokenized: only log_min_error_statement keeps these out.
run('misspelt column', q{SELECT missing FROM person WHERE email = '%s'}, '42703');
run('missing table', q{SELECT * FROM missing WHERE email = '%s'}, '42P01');
run('syntax error', q{INSERT INTO person VALUES (119, '%s') RETURNIN id}, '42601');
run('bad number before it', q{INSERT INTO person VALUES ('x', '%s')}, '22P02');
run('bad number in the condition', q{SELECT * FROM person WHERE id = 'x' AND email = '%s'}, '22P02');

# Functions that get it as an argument.
$node->admin(<<~'SQL');
  CREATE FUNCTION take(number integer, value text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO person VALUES (number, value);
    EXCEPTION WHEN unique_violation THEN
      RAISE EXCEPTION 'person % cannot have %', number, value USING DETAIL = value;
    END $$;
  SQL
run('function', q{SELECT take(120, '%s')}, '00000');
run('function, failing', q{SELECT take(101, '%s')}, 'P0001');

# The extended protocol: parameters in text, statements that are prepared, and errors at execution.
SKIP: {
  my %script = (
    'parameter' => 'SELECT id FROM person WHERE email = :value;',
    'parameter of a function' => 'SELECT take(101, :value);',
    'parameter, unique' => 'INSERT INTO person VALUES (101, :value);',
    'parameter, invalid' => "INSERT INTO person VALUES (121, :value || ' is no address');");
  for my $name (sort keys %script) {
    for my $mode (qw(simple extended prepared)) {
      my $file = $node->basedir . '/script.sql';
      write_file($file, "$script{$name}\n");
      my $value = plant("$name, $mode");
      my ($out, $err) = run_command([ 'pgbench', '-n', '-t', '2', '-M', $mode, '-D', "value='$value'", '-U', 'regress_lead', '-f', $file, '-d', $node->connstr('postgres') ])
        if $mode eq 'simple';
      ($out, $err) = run_command([ 'pgbench', '-n', '-t', '2', '-M', $mode, '-D', "value=$value", '-U', 'regress_lead', '-f', $file, $node->connstr('postgres') ])
        if $mode ne 'simple';
      like($out . $err, $name eq 'parameter' ? qr/transactions actually processed: 2\/2/ : qr/aborted|failed/, "$name, $mode: as it should end") or diag $out . $err;
    }
  }
}

# auto_explain prints plans; what they hold of protected values are tokens.
SKIP: {
  skip 'there is no auto_explain', 1 unless -e $node->config_data('--pkglibdir') . '/auto_explain.so';
  my $value = plant('auto_explain');
  $node->ask('regress_lead', "INSERT INTO person VALUES (130, '$value')");
  $node->admin(q{CREATE VIEW desk.one AS SELECT * FROM person WHERE id = 130; GRANT SELECT ON desk.one TO regress_lead;
    ALTER ROLE regress_lead SET session_preload_libraries = 'auto_explain';
    ALTER ROLE regress_lead SET auto_explain.log_min_duration = 0; ALTER ROLE regress_lead SET auto_explain.log_analyze = on;
    ALTER ROLE regress_lead SET auto_explain.log_verbose = on; ALTER ROLE regress_lead SET auto_explain.log_nested_statements = on});
  my $got = $node->ask('regress_lead', <<~'SQL');
    SET redoubt.reveal = 'plain';
    SELECT email FROM desk.one;
    SELECT count(*) FROM person WHERE email = (SELECT email FROM desk.one);
    PREPARE find(redoubt.email_token) AS SELECT id FROM person WHERE email = $1;
    SELECT redoubt.detokenize(email) AS address FROM desk.one \gset
    SELECT redoubt.detokenize(email) FROM desk.one ORDER BY 1;
    SQL
  like($got, qr/\Q$value\E/, 'auto_explain: the statement reveals');
  like($node->log_text, qr/Query Text:/, 'auto_explain: its plan is logged');
  $node->admin('ALTER ROLE regress_lead RESET ALL');
}

# What the server logs as it goes tells how often a part of a plan was run: no client gets it after it has read protected columns.
{
  my $sort = 'SELECT count(*) FROM (SELECT i FROM generate_series(1, 50000) AS i ORDER BY -i OFFSET 0) AS s;';
  my %heard;
  for my $before ('SELECT 1', 'SELECT count(*) FROM person WHERE email IS NULL') {
    my ($out, $err) = ('', '');
    $node->psql('postgres', "SET client_min_messages = log; SET work_mem = '64kB'; $before; $sort", stdout => \$out, stderr => \$err,
      on_error_stop => 1, extra_params => [ '-U', 'regress_lead' ]);
    $heard{$before} = () = $err =~ /LOG:  temporary file/g;
  }
  cmp_ok($heard{'SELECT 1'}, '>', 0, 'a client hears of its temporary files');
  is($heard{'SELECT count(*) FROM person WHERE email IS NULL'}, 0, 'not once it has read protected columns');
}

# A deadlock: the log names the statements of all who take part.
{
  my @values = (plant('deadlock, one side'), plant('deadlock, other side'));
  $node->ask('regress_lead', "INSERT INTO person VALUES (141, '$values[0]'), (142, '$values[1]')");
  my @session = map { $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_lead' ]) } 0, 1;
  $session[$_]->query_safe("BEGIN; UPDATE person SET phone = NULL WHERE email = '$values[$_]'") for 0, 1;
  $session[0]->query_until(qr/started/, "\\echo started\nUPDATE person SET phone = NULL WHERE email = '$values[1]';\n");
  $session[1]->query("UPDATE person SET phone = NULL WHERE email = '$values[0]'");
  $_->quit for @session;
  like($node->log_text, qr/deadlock detected|40P01/, 'a deadlock has been logged');
}

# A backend that is killed: the postmaster logs what it was running.
{
  my $value = plant('killed');
  my $file = $node->basedir . '/sleep.sql';
  write_file($file, "SELECT pg_sleep(60) FROM person WHERE email <> '$value';\n");
  my $victim = IPC::Run::start([ 'psql', '-Xq', '-U', 'regress_lead', '-d', $node->connstr('postgres'), '-f', $file ],
    '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout(120));
  $node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'regress_lead' AND wait_event = 'PgSleep'}) or die;
  my $offset = $node->log_size;
  kill 'KILL', $node->admin(q{SELECT pid FROM pg_stat_activity WHERE usename = 'regress_lead'}) or die;
  $victim->finish;
  $node->came_back($offset);
  like($node->log_text, qr/was terminated by signal 9/, 'a killed backend has been logged');
}

$node->admin('CHECKPOINT');
is($node->verdict, 't', 'the audit trail verifies');
cmp_ok($node->admin(q{SELECT count(*) FROM redoubt.audit WHERE event = 'reveal'}), '>', 5, 'and has events');
like($node->log_text, qr/withheld from the log/, 'the server log says what it leaves out');
like($node->log_text, qr/ERROR:  invalid value for token type desk\.strict: white space at character 3/, 'and of a refused value, which type and why');
$node->stop;

# The search.  A planted value is found in a file that is to hold it, so the search works.
my $probe = $node->basedir . '/probe';
write_file($probe, join("\n", 'x', sort keys %planted));
my %found;
for my $file ($probe, $node->logfile, split /\n/, run_command([ 'find', $node->data_dir, '-type', 'f' ])) {
  my $content = read_file($file) // '';
  $found{$file}{ $1 }++ while $content =~ /(plaintext\d{3}\@planted\.example)/g;
}
is(scalar(keys %{ delete $found{$probe} }), scalar(keys %planted), 'the search finds what is there');
for my $file (sort keys %found) {
  diag "$file holds: " . join('; ', sort map { $planted{$_} } keys %{ $found{$file} });
}
is(scalar(keys %found), 0, 'no file of the data directory and no line of the server log holds a planted plaintext');

done_testing();
